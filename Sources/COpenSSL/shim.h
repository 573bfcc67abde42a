// OpenSSL 3 and thin wrappers for its function-like macros, which Swift does not see.
#ifndef PORTICO_COPENSSL_H
#define PORTICO_COPENSSL_H
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

// Octets of a socket: the number, 0 at the end, or minus errno.
static inline long portico_tls_receive(int descriptor, void *room, size_t size) {
    ssize_t count;
    do count = recv(descriptor, room, size, 0); while (count < 0 && errno == EINTR);
    return count < 0 ? -(long)errno : count;
}
static inline long portico_tls_send(int descriptor, const void *octets, size_t size) {
    ssize_t count;
    do count = send(descriptor, octets, size, MSG_NOSIGNAL); while (count < 0 && errno == EINTR);
    return count < 0 ? -(long)errno : count;
}
static const int portico_EAGAIN = EAGAIN;
// In memory of the thread, until its next call.
static inline const char *portico_system_reason(int number) { return strerror(number); }

// SSL_OP_BIT(n) and the mode bits as constants.
static const uint64_t portico_tls_server_options =
    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE
    | SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF;
static const uint64_t portico_tls_client_options =
    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF;
static const long portico_tls_modes =
    SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN;

static inline void portico_SSL_CTX_set_mode(SSL_CTX *context, long mode) { SSL_CTX_set_mode(context, mode); }
static inline void portico_SSL_CTX_cache_off(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}
static inline int portico_SSL_CTX_set_groups(SSL_CTX *context, const char *groups) {
    return (int)SSL_CTX_set1_groups_list(context, groups);
}
static inline int portico_SSL_CTX_add_chain(SSL_CTX *context, X509 *certificate) {
    return (int)SSL_CTX_add1_chain_cert(context, certificate);
}
static inline int portico_SSL_CTX_set_versions(SSL_CTX *context, int lowest, int highest) {
    return SSL_CTX_set_min_proto_version(context, lowest)
        && SSL_CTX_set_max_proto_version(context, highest);
}
static inline int portico_SSL_set_groups(SSL *ssl, const char *groups) {
    return (int)SSL_set1_groups_list(ssl, groups);
}
static inline int portico_SSL_set_versions(SSL *ssl, int lowest, int highest) {
    return SSL_set_min_proto_version(ssl, lowest) && SSL_set_max_proto_version(ssl, highest);
}
static inline int portico_SSL_set_server_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}

// HMAC-SHA256 with this key, for session tickets.
static inline int portico_ticket_mac(EVP_MAC_CTX *mac, unsigned char *key, size_t length) {
    OSSL_PARAM settings[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key, length),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, settings);
}

// RFC 2253 text, with UTF-8 left as it is.
static const unsigned long portico_name_flags = XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB;

// Alternative names: the count, and kind (GEN_DNS, GEN_IPADD ...) with octets of one of them.
static inline int portico_names_count(const GENERAL_NAMES *names) { return sk_GENERAL_NAME_num(names); }
static inline int portico_name(const GENERAL_NAMES *names, int index, const unsigned char **octets, int *length) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
    *octets = NULL;
    *length = 0;
    if (name == NULL) return -1;
    if (name->type == GEN_DNS || name->type == GEN_URI || name->type == GEN_EMAIL) {
        *octets = ASN1_STRING_get0_data(name->d.ia5);
        *length = ASN1_STRING_length(name->d.ia5);
    } else if (name->type == GEN_IPADD) {
        *octets = ASN1_STRING_get0_data(name->d.iPAddress);
        *length = ASN1_STRING_length(name->d.iPAddress);
    }
    return name->type;
}

// What a peer's certificate is verified against. X509_V_FLAG_PARTIAL_CHAIN: an intermediate CA that is named is trusted
// without its root.
static inline void portico_SSL_CTX_set_store(SSL_CTX *context, X509_STORE *store) {
    SSL_CTX_set1_cert_store(context, store);
}
static inline void portico_SSL_set_most_certificates(SSL *ssl, long octets) { SSL_set_max_cert_list(ssl, octets); }
static inline void *portico_verified_session(X509_STORE_CTX *context) {
    return X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
}
static inline int portico_chain_count(const STACK_OF(X509) *chain) { return chain == NULL ? 0 : sk_X509_num(chain); }
static inline X509 *portico_chain_at(const STACK_OF(X509) *chain, int index) { return sk_X509_value(chain, index); }
// RFC 2253 text, for a header field: in ASCII.
static const unsigned long portico_ascii_name_flags = XN_FLAG_RFC2253;
// OCSP stapling (RFC 6960, RFC 6066 section 8).
static inline int64_t portico_ocsp_seconds(const ASN1_GENERALIZEDTIME *time) {
    struct tm parts;
    return time != NULL && ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}
// What a response in DER says of a certificate. 1: its status and times, with 0 for an end that it does not name. 0: it
// is no response. -1: the response says that there is none. -2: it concerns another certificate.
static inline int portico_ocsp_look(
    const unsigned char *octets, long length, X509 *certificate, int *status, int64_t *from, int64_t *until) {
    const unsigned char *place = octets;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &place, length);
    if (response == NULL || place != octets + length) {
        OCSP_RESPONSE_free(response);
        return 0;
    }
    int found = OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL ? 0 : -1;
    OCSP_BASICRESP *answers = found == 0 ? OCSP_response_get1_basic(response) : NULL;
    for (int index = 0; answers != NULL && found != 1 && index < OCSP_resp_count(answers); index++) {
        OCSP_SINGLERESP *one = OCSP_resp_get0(answers, index);
        ASN1_INTEGER *serial = NULL;
        OCSP_id_get0_info(NULL, NULL, NULL, &serial, (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(one));
        found = -2;
        if (serial == NULL || ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate)) != 0) continue;
        ASN1_GENERALIZEDTIME *begin = NULL, *end = NULL;
        *status = OCSP_single_get0_status(one, NULL, NULL, &begin, &end);
        *from = portico_ocsp_seconds(begin);
        *until = portico_ocsp_seconds(end);
        found = 1;
    }
    OCSP_BASICRESP_free(answers);
    OCSP_RESPONSE_free(response);
    return found;
}
// Whether a response in DER is signed by the certificate's issuer, or by a responder that the issuer has entitled.
// RFC 6960 section 4.2.2.2.
static inline int portico_ocsp_is_signed(const unsigned char *octets, long length, X509 *issuer) {
    const unsigned char *place = octets;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &place, length);
    OCSP_BASICRESP *answers = response == NULL ? NULL : OCSP_response_get1_basic(response);
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *issuers = sk_X509_new_null();
    int is_signed = 0;
    if (answers != NULL && store != NULL && issuers != NULL && X509_STORE_add_cert(store, issuer) == 1
        && sk_X509_push(issuers, issuer) > 0 && X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1)
        is_signed = OCSP_basic_verify(answers, issuers, store, 0) == 1;
    sk_X509_free(issuers);
    X509_STORE_free(store);
    OCSP_BASICRESP_free(answers);
    OCSP_RESPONSE_free(response);
    return is_signed;
}
// Whether a certificate demands a response: RFC 7633, with the number of the TLS extension status_request.
static inline int portico_demands_staple(X509 *certificate) {
    TLS_FEATURE *features = X509_get_ext_d2i(certificate, NID_tlsfeature, NULL, NULL);
    int demands = 0;
    for (int index = 0; index < sk_ASN1_INTEGER_num(features); index++)
        if (ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, index)) == TLSEXT_TYPE_status_request) demands = 1;
    TLS_FEATURE_free(features);
    return demands;
}
static inline int portico_staple_index(CRYPTO_EX_free *free) {
    return SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free);
}
static inline void portico_SSL_CTX_set_staple(SSL_CTX *context, int (*send)(SSL *, void *)) {
    SSL_CTX_set_tlsext_status_cb(context, send);
}
// Hands a copy of the response over to the session.
static inline int portico_SSL_staple(SSL *ssl, const void *octets, size_t length) {
    void *copy = OPENSSL_memdup(octets, length);
    if (copy == NULL) return 0;
    return SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)length) == 1;
}
// Seconds since 1970.
static inline int64_t portico_now(void) { return (int64_t)time(NULL); }
// No entry of OpenSSL's table of alerts: the peer is told certificate_unknown (RFC 8446 section 6.2).
static const int portico_verify_refused = 10000;
#endif
