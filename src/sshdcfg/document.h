// SPDX-License-Identifier: Apache-2.0
//
// One configuration file, kept byte for byte: the lines of the text in order, line ends included.
// Printing a document gives the bytes that were read; an edit changes the lines it names and
// nothing else.
//
// Include: whoever reads files (src/sshdapply) asks each Include line for its patterns, reads what
// they match and attaches it here in the order in which sshd would read it.
#ifndef LH_SSHDCFG_DOCUMENT_H
#define LH_SSHDCFG_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

#define LH_SSHD_FILE_MAX  ((size_t)4 << 20) // bytes of one file
#define LH_SSHD_DEPTH_MAX 16                // files included by files, as sshd counts

struct lh_sshd_doc;

struct lh_sshd_line {
    char *text;                    // `len` bytes, with its line end where it has one; then '\0'
    size_t len;                    // 1 or more
    struct lh_sshd_doc **includes; // files that this Include line brings in, owned
    size_t include_count;
};

struct lh_sshd_doc {
    char *path; // as messages name it
    struct lh_sshd_line *lines;
    size_t count;
    size_t room; // lines allocated
    bool crlf;   // most lines end in "\r\n", and new ones will
};

// Reads `len` bytes. LH_E_INVALID for a zero byte (sshd would join what follows to the line),
// LH_E_LIMIT beyond LH_SSHD_FILE_MAX, LH_E_NOMEM.
lh_err lh_sshd_doc_parse(const char *path,
                         const void *text,
                         size_t len,
                         struct lh_sshd_doc **out_doc) LH_MUST_CHECK;
void lh_sshd_doc_free(struct lh_sshd_doc *doc); // and what it includes; accepts NULL
LH_DEFINE_FREEP(struct lh_sshd_doc, lh_sshd_doc_free)

// The file as text (`*out_len` bytes, zero-terminated besides), which the caller frees. LH_E_NOMEM.
lh_err
lh_sshd_doc_print(const struct lh_sshd_doc *doc, char **out_text, size_t *out_len) LH_MUST_CHECK;

// Length of line `index` without its '\n' ('\r' counts).
size_t lh_sshd_line_body(const struct lh_sshd_doc *doc, size_t index);

// Attaches a file to the Include line `index`; the document owns it afterwards, also on failure.
lh_err
lh_sshd_doc_attach(struct lh_sshd_doc *doc, size_t index, struct lh_sshd_doc *child) LH_MUST_CHECK;

// --- Edits. `text` is one line without a line end; the document's own kind of end is added. ---

// Puts a line in front of line `index` (`count` = at the end). Where the last line has no end, it
// gets one first, so that the new line does not join it. LH_E_INVALID for a line end or zero byte
// inside, LH_E_NOMEM.
lh_err lh_sshd_doc_insert(struct lh_sshd_doc *doc, size_t index, const char *text) LH_MUST_CHECK;

// Replaces the content of line `index`, keeping its line end (or the lack of one).
lh_err lh_sshd_doc_replace(struct lh_sshd_doc *doc, size_t index, const char *text) LH_MUST_CHECK;

// Takes line `index` out, with what it includes.
void lh_sshd_doc_remove(struct lh_sshd_doc *doc, size_t index);

// Makes line `index` a comment: `mark` and the line as it was. `mark` begins with '#'.
lh_err lh_sshd_doc_comment(struct lh_sshd_doc *doc, size_t index, const char *mark) LH_MUST_CHECK;

#endif
