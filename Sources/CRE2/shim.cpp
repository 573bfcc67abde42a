#include "CRE2.h"
#include <new>
#include <re2/re2.h>

struct cre2_pattern {
    RE2 regex;
    explicit cre2_pattern(re2::StringPiece text, const RE2::Options &options) : regex(text, options) {}
};

extern "C" {

cre2_pattern *cre2_new(const char *pattern, size_t length) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(1 << 20);
    return new (std::nothrow) cre2_pattern(re2::StringPiece(pattern, length), options);
}

const char *cre2_error(const cre2_pattern *pattern) {
    return pattern->regex.ok() ? nullptr : pattern->regex.error().c_str();
}

bool cre2_full_match(const cre2_pattern *pattern, const char *text, size_t length) {
    return RE2::FullMatch(re2::StringPiece(text, length), pattern->regex);
}

int cre2_program_size(const cre2_pattern *pattern) { return pattern->regex.ProgramSize(); }

void cre2_delete(cre2_pattern *pattern) { delete pattern; }

}
