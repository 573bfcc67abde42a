// The report is made where the process has just shown that its memory cannot be trusted. So it is C, it allocates
// nothing before the plain report is out, and the symbols are read from the program's own file: Swift's
// `swift-backtrace` needs a second program beside ours and frame pointers on the path of a request, and glibc's
// `dladdr` knows exported names only. Where the file has no symbols there are addresses.
#define _GNU_SOURCE
#include "CCrash.h"

#include <elf.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

// The demangler of Swift's runtime, which is part of every Swift program.
extern char *swift_demangle(const char *name, size_t length, char *output, size_t *output_size, uint32_t flags);

enum { most_frames = 64, stack_octets = 65536, report_seconds = 5 };

static char version[64];
static char serving[2][512];       // what the process serves; one is written while the other is current
static const char *volatile serving_now = serving[0];
static const char *image;          // the program's file, mapped; null when it could not be read
static size_t image_size;
static uintptr_t load_offset;      // where the program is loaded, minus its own addresses

static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT};
static const char *const names[] = {
    "SIGSEGV (memory that is not there)", "SIGBUS (memory that cannot be read)",
    "SIGILL (a trap of Swift's: an index or a number out of range, or a broken precondition)",
    "SIGTRAP (a trap of Swift's)", "SIGFPE (arithmetic)", "SIGABRT (the program gave up)"};

static void say(const char *text) {
    size_t length = strlen(text);
    while (length > 0) {
        ssize_t count = write(STDERR_FILENO, text, length);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return;
        text += count;
        length -= (size_t)count;
    }
}

static void say_hex(uintptr_t number) {
    char text[2 + 16 + 1] = "0x";
    for (int digit = 0; digit < 16; digit++) text[2 + digit] = "0123456789abcdef"[number >> (60 - 4 * digit) & 15];
    text[18] = 0;
    say(text);
}

static void say_decimal(unsigned long number) {
    char text[24];
    char *end = text + sizeof text - 1;
    *end = 0;
    do *--end = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    say(end);
}

/// Whether `count` entries of `size` octets at `offset` lie in the image.
static bool fits(uint64_t offset, uint64_t count, uint64_t size) {
    return offset <= image_size && size > 0 && count <= (image_size - offset) / size;
}

/// The name of the function that has the address; null when the file does not tell.
static const char *name_of(uintptr_t address, uintptr_t *into) {
    if (!image || !fits(0, 1, sizeof(ElfW(Ehdr)))) return NULL;
    const ElfW(Ehdr) *header = (const void *)image;
    if (!fits(header->e_shoff, header->e_shnum, sizeof(ElfW(Shdr)))) return NULL;
    const ElfW(Shdr) *sections = (const void *)(image + header->e_shoff);
    uintptr_t wanted = address - load_offset;
    for (int index = 0; index < header->e_shnum; index++) {
        const ElfW(Shdr) *table = &sections[index];
        if (table->sh_type != SHT_SYMTAB || table->sh_link >= header->e_shnum) continue;
        const ElfW(Shdr) *texts = &sections[table->sh_link];
        uint64_t count = table->sh_size / sizeof(ElfW(Sym));
        if (!fits(table->sh_offset, count, sizeof(ElfW(Sym))) || !fits(texts->sh_offset, texts->sh_size, 1)) continue;
        const ElfW(Sym) *symbols = (const void *)(image + table->sh_offset);
        for (uint64_t number = 0; number < count; number++) {
            const ElfW(Sym) *symbol = &symbols[number];
            if ((symbol->st_info & 15) != STT_FUNC || wanted < symbol->st_value) continue;
            if (wanted - symbol->st_value >= symbol->st_size || symbol->st_name >= texts->sh_size) continue;
            const char *name = image + texts->sh_offset + symbol->st_name;
            if (!memchr(name, 0, texts->sh_size - symbol->st_name)) continue;
            *into = wanted - symbol->st_value;
            return name;
        }
    }
    return NULL;
}

static void say_frames(void *const *frames, int count, bool demangles) {
    for (int index = 0; index < count; index++) {
        uintptr_t address = (uintptr_t)frames[index];
        // What called stands behind the call: one octet back is inside it.
        uintptr_t into = 0;
        const char *name = name_of(index == 0 ? address : address - 1, &into);
        if (!name && demangles) continue;
        say("portico:   ");
        say_decimal((unsigned long)index);
        say(" ");
        if (!demangles) {
            say_hex(address);
            say(" ");
        }
        char *plain = demangles && name ? swift_demangle(name, strlen(name), NULL, NULL, 0) : NULL;
        say(plain ? plain : name ? name : "(no name)");
        say(" + ");
        say_decimal(into);
        say("\n");
        // Never freed: the process ends, and its heap may be what broke.
    }
}

static void report(int number, siginfo_t *info, void *context) {
    (void)context;
    static volatile sig_atomic_t is_reporting;
    // Whatever happens in here, the process ends: by the next signal, or by the alarm.
    for (size_t index = 0; index < sizeof signals / sizeof *signals; index++) signal(signals[index], SIG_DFL);
    if (is_reporting) _exit(128 + number);
    is_reporting = 1;
    signal(SIGALRM, SIG_DFL);
    sigset_t open;
    sigemptyset(&open);
    sigaddset(&open, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &open, NULL);
    alarm(report_seconds);

    char thread[17] = "";
    prctl(PR_GET_NAME, thread);
    say("portico: crash: ");
    for (size_t index = 0; index < sizeof signals / sizeof *signals; index++)
        if (signals[index] == number) say(names[index]);
    say("\nportico: version ");
    say(version);
    say(", process ");
    say_decimal((unsigned long)getpid());
    say(", thread ");
    say(thread);
    if (number == SIGSEGV || number == SIGBUS) {
        say(", address ");
        say_hex((uintptr_t)info->si_addr);
    }
    say("\n");
    if (*serving_now) {
        say("portico: serving ");
        say(serving_now);
        say("\n");
    }
    void *frames[most_frames];
    int count = backtrace(frames, most_frames);
    say_frames(frames, count, false);
    say("portico: the same, readable:\n");
    say_frames(frames, count, true);
    say("portico: please report this with the lines above; they hold nothing of requests\n");
    // The signal again, without a handler: the exit status tells of it, and so does a core dump.
    raise(number);
}

/// The first object is the program itself.
static int note_offset(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size, (void)unused;
    load_offset = info->dlpi_addr;
    return 1;
}

static void map_image(void) {
    dl_iterate_phdr(note_offset, NULL);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    struct stat facts;
    if (fstat(file, &facts) == 0 && facts.st_size > 0) {
        // Costs no memory until it is read.
        void *mapped = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (mapped != MAP_FAILED) {
            image = mapped;
            image_size = (size_t)facts.st_size;
        }
    }
    close(file);
}

void ccrash_install(const char *text) {
    strncpy(version, text, sizeof version - 1);
    map_image();
    // The first call loads the unwinder, which allocates.
    void *frame[1];
    (void)backtrace(frame, 1);
    ccrash_cover_thread();
    struct sigaction action = {.sa_sigaction = report, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    for (size_t index = 0; index < sizeof signals / sizeof *signals; index++) {
        struct sigaction present;
        // A sanitizer has handlers of its own, which tell more.
        if (sigaction(signals[index], NULL, &present) != 0 || present.sa_handler != SIG_DFL) continue;
        sigaction(signals[index], &action, NULL);
    }
}

void ccrash_note_serving(const char *text) {
    char *next = serving_now == serving[0] ? serving[1] : serving[0];
    strncpy(next, text, sizeof serving[0] - 1);
    next[sizeof serving[0] - 1] = 0;
    serving_now = next;
}

void ccrash_cover_thread(void) {
    stack_t stack = {.ss_size = stack_octets};
    stack_t present;
    if (sigaltstack(NULL, &present) == 0 && !(present.ss_flags & SS_DISABLE)) return;
    stack.ss_sp = mmap(NULL, stack_octets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack.ss_sp != MAP_FAILED) sigaltstack(&stack, NULL);
}
