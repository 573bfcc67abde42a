#include "CRE2.h"
#include <ctime>
#include <new>
#include <re2/re2.h>

struct cre2_pattern {
    RE2 regex;
    explicit cre2_pattern(re2::StringPiece text, const RE2::Options &options) : regex(text, options) {}
};

extern "C" {

cre2_pattern *cre2_new(const char *pattern, size_t length, int64_t memory) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(memory);
    return new (std::nothrow) cre2_pattern(re2::StringPiece(pattern, length), options);
}

const char *cre2_error(const cre2_pattern *pattern) {
    return pattern->regex.ok() ? nullptr : pattern->regex.error().c_str();
}

bool cre2_is_too_large(const cre2_pattern *pattern) {
    return pattern->regex.error_code() == RE2::ErrorPatternTooLarge;
}

bool cre2_full_match(const cre2_pattern *pattern, const char *text, size_t length) {
    return RE2::FullMatch(re2::StringPiece(text, length), pattern->regex);
}

int cre2_program_size(const cre2_pattern *pattern) { return pattern->regex.ProgramSize(); }

void cre2_delete(cre2_pattern *pattern) { delete pattern; }

uint64_t cre2_thread_nanoseconds(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) return 0;
    return uint64_t(now.tv_sec) * 1000000000 + uint64_t(now.tv_nsec);
}

}
