// OpenSSL 3 and thin wrappers for its function-like macros.
#ifndef PORTICO_COPENSSL_H
#define PORTICO_COPENSSL_H
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#endif
