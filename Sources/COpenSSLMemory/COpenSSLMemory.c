#define _GNU_SOURCE
#include "COpenSSLMemory.h"
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local int wiping;

void portico_openssl_wipe(int wipes) { wiping = wipes; }

static void *take(size_t size, const char *file, int line) {
    (void)file, (void)line;
    return malloc(size);
}

static void give(void *memory, const char *file, int line) {
    (void)file, (void)line;
    if (memory && wiping) explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

static void *change(void *memory, size_t size, const char *file, int line) {
    if (!wiping || !memory) return realloc(memory, size);
    // `realloc` would leave the old octets behind where it moves them.
    void *other = malloc(size);
    if (!other) return NULL;
    size_t old = malloc_usable_size(memory);
    memcpy(other, memory, old < size ? old : size);
    give(memory, file, line);
    return other;
}

int portico_openssl_install_memory(void) { return CRYPTO_set_mem_functions(take, change, give); }
