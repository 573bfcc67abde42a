// A C face for RE2: compile, match a whole text, free.
#ifndef PORTICO_CRE2_H
#define PORTICO_CRE2_H
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct cre2_pattern cre2_pattern;
/// Compiles `length` octets of `pattern`; never fails by itself, see cre2_error. Owned by the caller.
/// `memory` bounds its program and, while matching, the states that are kept of it.
cre2_pattern *cre2_new(const char *pattern, size_t length, int64_t memory);
/// Null when the pattern is usable, else a sentence that lives as long as the pattern.
const char *cre2_error(const cre2_pattern *pattern);
/// The pattern is no mistake, but its program would not fit.
bool cre2_is_too_large(const cre2_pattern *pattern);
/// Whether the whole text matches.
bool cre2_full_match(const cre2_pattern *pattern, const char *text, size_t length);
/// RE2's measure of a compiled program's size.
int cre2_program_size(const cre2_pattern *pattern);
/// Whether `rewrite` can take the place of a match: see RE2::CheckRewriteString.
enum { CRE2_REPLACEMENT_GOOD = 0, CRE2_REPLACEMENT_NO_GROUP = 1, CRE2_REPLACEMENT_SYNTAX = 2 };
int cre2_replacement_error(const cre2_pattern *pattern, const char *rewrite, size_t length);
/// Replaces each match in ASCII text and writes the new text to `out`, of which `room` octets are there. Returns its
/// length, or one of these: nothing matches; it takes too much room or more than 10 ms of this thread's time.
enum { CRE2_NO_MATCH = -1, CRE2_TOO_COSTLY = -2 };
int64_t cre2_replace(const cre2_pattern *pattern, const char *text, size_t length, const char *rewrite,
                     size_t rewrite_length, char *out, size_t room);
void cre2_delete(cre2_pattern *pattern);
/// How long this thread has used a processor.
uint64_t cre2_thread_nanoseconds(void);
#ifdef __cplusplus
}
#endif
#endif
