#include "CRE2.h"
#include <ctime>
#include <cstring>
#include <new>
#include <re2/re2.h>

struct cre2_pattern {
    RE2 regex;
    explicit cre2_pattern(re2::StringPiece text, const RE2::Options &options) : regex(text, options) {}
};

// Memory of the caller that never grows.
struct Output {
    char *base;
    size_t room;
    size_t used = 0;

    bool append(const char *text, size_t length) {
        if (length > room - used) return false;
        if (length > 0) memcpy(base + used, text, length);
        used += length;
        return true;
    }

    bool append_rewrite(const char *rewrite, size_t length, const re2::StringPiece *groups, int count) {
        for (size_t i = 0; i < length; i++) {
            if (rewrite[i] != '\\') {
                if (!append(rewrite + i, 1)) return false;
                continue;
            }
            if (++i == length) return true;
            if (rewrite[i] == '\\') {
                if (!append(rewrite + i, 1)) return false;
                continue;
            }
            int group = rewrite[i] - '0';
            if (group < 0 || group >= count) continue;
            if (groups[group].data() && !append(groups[group].data(), groups[group].size())) return false;
        }
        return true;
    }
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

int cre2_replacement_error(const cre2_pattern *pattern, const char *rewrite, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (rewrite[i] != '\\') continue;
        if (++i == length) return CRE2_REPLACEMENT_SYNTAX;
        if (rewrite[i] == '\\') continue;
        if (rewrite[i] < '0' || rewrite[i] > '9') return CRE2_REPLACEMENT_SYNTAX;
        if (rewrite[i] - '0' > pattern->regex.NumberOfCapturingGroups()) return CRE2_REPLACEMENT_NO_GROUP;
    }
    return CRE2_REPLACEMENT_GOOD;
}

int64_t cre2_replace(const cre2_pattern *pattern, const char *text, size_t length, const char *rewrite,
                     size_t rewrite_length, char *out, size_t room) {
    if (!text) text = "";
    Output output{out, room};
    re2::StringPiece all(text, length), groups[10];
    const char *position = text, *end = text + length, *last_end = nullptr;
    int known = pattern->regex.NumberOfCapturingGroups() + 1;
    int wanted = known < 10 ? known : 10;
    uint64_t started = 0;
    bool is_changed = false;
    for (unsigned round = 0; position <= end; round++) {
        if (round % 16 == 15) {
            uint64_t now = cre2_thread_nanoseconds();
            if (!started) started = now;
            if (now - started > 10000000) return CRE2_TOO_COSTLY;
        }
        if (!pattern->regex.Match(all, size_t(position - text), length, RE2::UNANCHORED, groups, wanted)) break;
        const char *match = groups[0].data();
        if (position < match && !output.append(position, size_t(match - position))) return CRE2_TOO_COSTLY;
        // An empty match just behind the last one does not count.
        if (match == last_end && groups[0].empty()) {
            if (match < end && !output.append(match, 1)) return CRE2_TOO_COSTLY;
            position = match + 1;
            continue;
        }
        if (!output.append_rewrite(rewrite, rewrite_length, groups, wanted)) return CRE2_TOO_COSTLY;
        position = last_end = match + groups[0].size();
        is_changed = true;
    }
    if (!is_changed) return CRE2_NO_MATCH;
    if (position < end && !output.append(position, size_t(end - position))) return CRE2_TOO_COSTLY;
    return int64_t(output.used);
}

void cre2_delete(cre2_pattern *pattern) { delete pattern; }

uint64_t cre2_thread_nanoseconds(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) return 0;
    return uint64_t(now.tv_sec) * 1000000000 + uint64_t(now.tv_nsec);
}

}
