// The memory that libyaml works in. Its shared library calls these functions through its own table of symbols, so those
// of the program come first; where it is built otherwise (-Bsymbolic, or linked statically with its own) they are
// never called, and nothing is lost but the wiping.
#ifndef PORTICO_CYAMLMEMORY_H
#define PORTICO_CYAMLMEMORY_H
#include <stddef.h>

/// From now on, whatever libyaml frees on the calling thread is overwritten first (1), or no longer (0). Files with
/// Secrets are read so; for all others it would cost time and give nothing.
void portico_yaml_wipe(int wipes);

/// Whether a text has one of the words without which no object is taken for a Secret.
int portico_mentions_secrets(const void *text, size_t length);

#endif
