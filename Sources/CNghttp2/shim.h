// nghttp2 (1.52 and newer) and thin wrappers where Swift cannot see a macro.
#ifndef PORTICO_CNGHTTP2_H
#define PORTICO_CNGHTTP2_H
#include <nghttp2/nghttp2.h>
#endif
