// What a process says when it crashes: a backtrace with names, on standard error, from a signal handler.
#ifndef PORTICO_CCRASH_H
#define PORTICO_CCRASH_H

/// Writes a report for SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE and SIGABRT before the process ends of them. Signals
/// that have a handler already keep it. Call it once, before other threads start.
/// `version` is copied; what is longer than 63 octets is cut.
void ccrash_install(const char *version);

/// What a report says about what the process serves; at most 511 octets are kept. One thread only.
void ccrash_note_serving(const char *text);

/// Gives the calling thread a stack of its own for the report, so that a stack that is used up leaves one too.
/// It lives as long as the process: for threads that do.
void ccrash_cover_thread(void);

#endif
