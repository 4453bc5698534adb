"""What benchmarks print, and their exit status."""

import pytest

from bench import report


def test_target_that_falls_short_is_printed_and_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    result = report.start("Title")
    result.at_least("rows_per_second", 15_000.4, 15_000)
    result.at_most("rows_touched", 0, 0)
    with pytest.raises(SystemExit) as met:
        report.end(result)
    result.at_least("recall", 0.9794, 0.98)
    with pytest.raises(SystemExit) as short:
        report.end(result)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Title"
    assert [line for line in lines if line.startswith("TARGET")] == [
        "TARGET rows_per_second 15000 15000 ok",
        "TARGET rows_touched 0 0 ok",
        "TARGET recall 0.979 0.980 short",
    ]
    assert (met.value.code, short.value.code) == (0, 1)


def test_spread_and_percentile_of_a_few_values() -> None:
    assert report.spread([3.0, 1.0, 2.5]) == "2.500 (1.000 to 3.000)"
    assert report.percentile([4, 1, 3, 2], 0.5) == 3
    assert report.percentile([4, 1, 3, 2], 0.95) == 4
    assert report.percentiles([0.004, 0.001, 0.003, 0.002]) == "p50 3.0 ms, p95 4.0 ms"
