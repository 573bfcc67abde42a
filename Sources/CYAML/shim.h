#ifndef PORTICO_CYAML_H
#define PORTICO_CYAML_H
#include <yaml.h>
#endif
