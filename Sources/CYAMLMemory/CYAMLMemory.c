#define _GNU_SOURCE
#include "CYAMLMemory.h"
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local int wiping;

void portico_yaml_wipe(int wipes) { wiping = wipes; }

int portico_mentions_secrets(const void *text, size_t length) {
    return length && (memmem(text, length, "ecret", 5) || memmem(text, length, "stringData", 10));
}

// libyaml's own, as its api.c has them, but that they wipe. Its prototypes are in yaml_private.h, which no package has.
// Weak, so that a libyaml that is linked statically keeps its own.
__attribute__((weak)) void *yaml_malloc(size_t size);
__attribute__((weak)) void *yaml_realloc(void *memory, size_t size);
__attribute__((weak)) void yaml_free(void *memory);

void *yaml_malloc(size_t size) { return malloc(size ? size : 1); }

void yaml_free(void *memory) {
    if (!memory) return;
    if (wiping) explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

void *yaml_realloc(void *memory, size_t size) {
    if (!memory) return yaml_malloc(size);
    if (!wiping) return realloc(memory, size ? size : 1);
    // `realloc` would leave the old octets behind where it moves them.
    void *larger = yaml_malloc(size);
    if (!larger) return NULL;
    size_t old = malloc_usable_size(memory);
    memcpy(larger, memory, old < size ? old : size);
    yaml_free(memory);
    return larger;
}
