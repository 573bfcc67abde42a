// The memory that OpenSSL works in. While it reads a key it keeps the text and its DER in memory that it gives back as
// it is; with these functions that memory is overwritten first.
#ifndef PORTICO_COPENSSLMEMORY_H
#define PORTICO_COPENSSLMEMORY_H

/// Makes OpenSSL use these functions. Call it before anything else of OpenSSL is: later it has no effect.
/// Returns 1 when it has one.
int portico_openssl_install_memory(void);

/// From now on, whatever OpenSSL frees on the calling thread is overwritten first (1), or no longer (0).
void portico_openssl_wipe(int wipes);

#endif
