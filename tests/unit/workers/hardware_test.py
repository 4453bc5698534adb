"""Detection of the device, the number format and the slots."""

from pathlib import Path

import pytest
import torch

from workers.encoding import hardware


@pytest.mark.parametrize(
    ("cpuinfo", "dtype"),
    [
        ("flags : fpu avx512f avx512_bf16 clzero", torch.bfloat16),
        ("flags : fpu amx_bf16 amx_tile", torch.bfloat16),
        ("Features : fp asimd bf16", torch.bfloat16),
        ("flags : fpu avx2 avx512f", torch.float32),
    ],
)
def test_a_processor_with_bfloat16_instructions_computes_in_bfloat16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpuinfo: str, dtype: torch.dtype
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"model name : bfloat16 3000\n{cpuinfo}\n")
    monkeypatch.setattr(hardware, "CPU_INFO", file)
    assert hardware.detect(device="cpu").dtype == dtype
    assert hardware.detect(device="cpu", dtype="float32").dtype == torch.float32


def test_a_gpu_computes_one_large_batch_at_a_time_in_float16() -> None:
    found = hardware.detect(device="cuda:1")
    assert (found.dtype, found.slots) == (torch.float16, 1)
    assert found.batch_tokens > hardware.detect(device="cpu").batch_tokens


def test_a_dtype_or_device_that_torch_lacks_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="Unknown number format in EMBEDDING_DTYPE=float7"):
        hardware.detect(device="cpu", dtype="float7")
    with pytest.raises(ValueError, match="Unknown device in EMBEDDING_DEVICE=gpu"):
        hardware.detect(device="gpu")
