"""Read the text of documents that people write: PDF, Word, Markdown and plain text."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apps.records.normalizing.encodings import detect_encoding
from apps.records.normalizing.errors import UnreadableCellError

SUFFIXES = frozenset({".pdf", ".docx", ".txt", ".md", ".markdown"})
MAX_BYTES = 20 * 1024 * 1024
MAX_PAGES = 50
MAX_UNPACKED = 200 * 1024 * 1024  # bytes of a Word file, which is a zip
MIN_LETTERS = 30  # a document with fewer has no text: it is a scan


class UnreadableDocumentError(Exception):
    """The document has no text, is damaged or protected. The message says which, and what to do."""


def documents_in(path: Path) -> list[Path]:
    """Return the documents in a folder and its subfolders, sorted by name; a file is itself."""
    if path.is_file():
        return [path]
    return [each for each in _files_in(path) if each.suffix.lower() in SUFFIXES]


def other_files(path: Path) -> list[str]:
    """Return the names of the files in a folder that are no documents."""
    if path.is_file():
        return []
    return [
        each.relative_to(path).as_posix() for each in _files_in(path) if each.suffix.lower() not in SUFFIXES
    ]


def _files_in(path: Path) -> list[Path]:
    """The files of a folder, without hidden ones, sorted by name."""
    found = (each for each in path.rglob("*") if each.is_file())
    return sorted(
        each for each in found if not any(part.startswith(".") for part in each.relative_to(path).parts)
    )


def read_document(path: Path) -> str:
    """Return the text of a document in reading order. Raises UnreadableDocumentError or OSError."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise UnreadableDocumentError(
            f"larger than {MAX_BYTES // 1024 // 1024} MiB; a résumé has a few pages"
        )
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UnreadableDocumentError(
            f"no document that can be read; save it as one of {', '.join(sorted(SUFFIXES))}"
        )
    try:
        text = {".pdf": _pdf, ".docx": _docx}.get(suffix, _plain)(path)
    except (UnreadableDocumentError, OSError):
        raise
    except (
        Exception
    ) as error:  # the parsers raise anything where a file is damaged, and it must cost this file alone
        raise UnreadableDocumentError(
            f"damaged, or not what its name says: {str(error)[:100] or type(error).__name__}"
        ) from error
    text = re.sub(
        r"\n{3,}", "\n\n", re.sub(r"[ \t\u00a0]+", " ", text.replace("\r\n", "\n").replace("\x00", ""))
    ).strip()
    if sum(each.isalpha() for each in text) < MIN_LETTERS:
        kind = (
            "it may be a scan; run it through text recognition (OCR)"
            if suffix == ".pdf"
            else "write at least a sentence"
        )
        raise UnreadableDocumentError(f"holds no text: {kind}")
    return text


def _pdf(path: Path) -> str:
    from pdfminer.high_level import extract_text
    from pdfminer.layout import LAParams
    from pdfminer.pdfdocument import PDFPasswordIncorrect
    from pdfminer.pdfparser import PDFSyntaxError
    from pdfminer.psexceptions import PSException

    try:
        return str(extract_text(path, maxpages=MAX_PAGES, laparams=LAParams()))
    except PDFPasswordIncorrect as error:
        raise UnreadableDocumentError("protected by a password; save it without one") from error
    except (PDFSyntaxError, PSException) as error:
        raise UnreadableDocumentError(
            f"no PDF that can be read: {str(error)[:100] or type(error).__name__}"
        ) from error


def _docx(path: Path) -> str:
    import docx
    from docx.opc.exceptions import PackageNotFoundError

    try:
        with zipfile.ZipFile(path) as archive:
            if sum(each.file_size for each in archive.infolist()) > MAX_UNPACKED:
                raise UnreadableDocumentError(f"unpacks to more than {MAX_UNPACKED // 1024 // 1024} MiB")
        document = docx.Document(str(path))
        return "\n".join(_blocks(document))
    except (PackageNotFoundError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise UnreadableDocumentError(f"no Word document that can be read: {str(error)[:100]}") from error


def _blocks(document: Any) -> Iterator[str]:
    """Paragraphs and tables in the order in which they stand; headings and lists as Markdown."""
    from docx.table import Table

    for block in document.iter_inner_content():
        if isinstance(block, Table):
            for row in block.rows:
                cells = dict.fromkeys(" ".join(cell.text.split()) for cell in row.cells)
                yield " | ".join(filter(None, cells))
            continue
        text, style = block.text.strip(), (block.style.name or "") if block.style else ""
        if not text:
            yield ""
        elif style.startswith(("Heading", "Title")):
            yield f"## {text}"
        else:
            yield f"- {text}" if style.startswith("List") else text


def _plain(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode(detect_encoding(data))
    except (UnicodeDecodeError, UnreadableCellError) as error:
        raise UnreadableDocumentError("the encoding cannot be told; save the file as UTF-8") from error
