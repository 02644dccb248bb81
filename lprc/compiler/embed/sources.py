"""The texts of embedded artefacts: header, C source, assembler file, resource script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lprc.compiler.embed.files import EmbeddedFile, Embedding

ALIGNMENT = 64
"""Bytes: a cache line, so that runtimes may read weights where they lie."""

_BYTES_IN_LINE = 24


def header(given: Embedding, *, symbols: bool) -> str:
    """The header, for C and C++.

    Args:
        given: What is embedded.
        symbols: Whether the bytes have symbols; in a Windows resource they do not.
    """
    name, upper = given.symbol, given.symbol.upper()
    files = "\n\n".join(_declaration(file, symbols=symbols) for file in given.files)
    return f"""\
/* Files of an lprc artefact, embedded by `lprc embed`. */
#ifndef LPRC_EMBED_{upper}_H
#define LPRC_EMBED_{upper}_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {{
#endif

/* The SHA-256 of the artefact's manifest.json. */
#define {upper}_MANIFEST_SHA256 "{given.manifest_sha256}"

/* How many files there are, their names, and the one that the runtime loads first. */
#define {upper}_FILE_COUNT {len(given.files)}
#define {upper}_FILE_NAMES {{{", ".join(_quoted(file.path.name) for file in given.files)}}}
#define {upper}_FIRST_FILE {_quoted(given.files[0].path.name)}

{files}

typedef struct {name}_file {{
    const char *name;          /* as in the artefact's folder */
    const unsigned char *data; /* aligned to {ALIGNMENT} bytes, except in a Windows resource */
    size_t size;               /* in bytes */
}} {name}_file;

/* The file called `file_name`; its data is NULL where there is none. Thread-safe. */
{name}_file {name}_get(const char *file_name);

#ifdef __cplusplus
}}
#endif

#endif
"""


def _declaration(file: EmbeddedFile, *, symbols: bool) -> str:
    upper = file.symbol.upper()
    lines = [
        f"#define {upper}_NAME {_quoted(file.path.name)}",
        f"#define {upper}_SIZE {file.size}u",
    ]
    if symbols:  # one zero byte more, so that texts end
        lines.append(f"extern const unsigned char {file.symbol}[{file.size + 1}];")
    return "\n".join(lines)


def array_source(given: Embedding, header_name: str) -> Iterator[str]:
    """C and C++ source with the bytes as arrays, in pieces."""
    yield f"""\
/* Files of an lprc artefact, embedded by `lprc embed`. */
#include "{header_name}"

#include <string.h>

#if defined(_MSC_VER)
#define LPRC_ALIGNED __declspec(align({ALIGNMENT}))
#else
#define LPRC_ALIGNED __attribute__((aligned({ALIGNMENT})))
#endif
"""
    for file in given.files:
        yield f"\nLPRC_ALIGNED const unsigned char {file.symbol}[{file.size + 1}] = {{\n"
        data = file.path.read_bytes()
        for start in range(0, len(data), _BYTES_IN_LINE):
            yield ",".join(map(str, data[start : start + _BYTES_IN_LINE])) + ",\n"
        yield "0};\n"
    yield "\n" + _table(given)


def object_source(given: Embedding, header_name: str) -> str:
    """C and C++ source for bytes that stand in an assembler file."""
    return f"""\
/* Files of an lprc artefact, embedded by `lprc embed`; their bytes are in the .S file beside. */
#include "{header_name}"

#include <string.h>

{_table(given)}"""


def _table(given: Embedding) -> str:
    rows = "".join(
        f"    {{{_quoted(file.path.name)}, {file.symbol}, {file.symbol.upper()}_SIZE}},\n"
        for file in given.files
    )
    return f"""\
static const {given.symbol}_file files[{given.symbol.upper()}_FILE_COUNT] = {{
{rows}}};

{_lookup(given, "files[i]")}"""


def _lookup(given: Embedding, file_expression: str) -> str:
    name, upper = given.symbol, given.symbol.upper()
    return f"""\
{name}_file {name}_get(const char *file_name)
{{
    {name}_file none = {{NULL, NULL, 0}};
    size_t i;
    for (i = 0; i < {upper}_FILE_COUNT; ++i)
        if (strcmp(files[i].name, file_name) == 0)
            return {file_expression};
    return none;
}}
"""


def assembler(given: Embedding) -> str:
    """For the preprocessor and assembler of GCC and Clang: ELF, Mach-O and COFF."""
    blocks = "\n".join(_assembler_block(file) for file in given.files)
    return f"""\
/* Files of an lprc artefact, embedded by `lprc embed`. */
#if defined(__APPLE__) || (defined(_WIN32) && defined(__i386__))
#define LPRC_SYMBOL(name) _##name
#else
#define LPRC_SYMBOL(name) name
#endif

#if defined(__APPLE__)
    .section __TEXT,__const
#elif defined(_WIN32)
    .section .rdata,"dr"
#else
    .section .rodata
#endif

{blocks}
#if defined(__ELF__)
    .section .note.GNU-stack,"",%progbits
#endif
"""


def _assembler_block(file: EmbeddedFile) -> str:
    symbol = f"LPRC_SYMBOL({file.symbol})"
    return f"""\
    .balign {ALIGNMENT}
    .globl {symbol}
#if defined(__ELF__)
    .type {symbol}, %object
    .size {symbol}, {file.size + 1}
#endif
{symbol}:
    .incbin {_quoted(file.path.as_posix())}
    .byte 0
"""


def resource_script(given: Embedding) -> str:
    """For ``rc``, ``llvm-rc`` and ``windres``."""
    rows = "".join(
        f"{file.symbol.upper()} RCDATA {_quoted(file.path.as_posix())}\n" for file in given.files
    )
    return f"/* Files of an lprc artefact, embedded by `lprc embed`. */\n{rows}"


def resource_source(given: Embedding, header_name: str) -> str:
    """C and C++ source that finds a Windows resource of the program or DLL that it is in."""
    name = given.symbol
    rows = "".join(
        f"    {{{_quoted(file.path.name)}, {_quoted(file.symbol.upper())}}},\n"
        for file in given.files
    )
    return f"""\
/* Files of an lprc artefact, embedded by `lprc embed`; their bytes are in the .rc file beside. */
#include "{header_name}"

#include <string.h>
#include <windows.h>

static const struct {{
    const char *name;
    const char *resource;
}} files[{name.upper()}_FILE_COUNT] = {{
{rows}}};

static {name}_file loaded(const char *file_name, const char *resource)
{{
    {name}_file file = {{NULL, NULL, 0}};
    HMODULE module = NULL;
    HRSRC found;
    HGLOBAL handle;
    /* NULL would name the program, also where this is in a DLL. */
    if (!GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
                                GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                            (LPCSTR)&files, &module))
        return file;
    found = FindResourceA(module, resource, (LPCSTR)RT_RCDATA);
    handle = found == NULL ? NULL : LoadResource(module, found);
    if (handle == NULL)
        return file;
    file.name = file_name;
    file.data = (const unsigned char *)LockResource(handle);
    file.size = SizeofResource(module, found);
    return file;
}}

{_lookup(given, "loaded(files[i].name, files[i].resource)")}"""


def _quoted(text: str | Path) -> str:
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
