#ifndef PORTICO_CYAML_H
#define PORTICO_CYAML_H
#include <yaml.h>
#include <string.h>

/* One event of libyaml, flat: Swift need not reach into its unions. The pointers die with the
   event. Lines and columns count from 1. */
typedef struct {
    int type;
    int is_plain;
    int is_double_quoted;
    const unsigned char *text;
    size_t length;
    const char *anchor;
    const char *tag;
    size_t line;
    size_t column;
} portico_yaml_event;

static inline int portico_yaml_next(yaml_parser_t *parser, yaml_event_t *event,
                                    portico_yaml_event *out) {
    if (!yaml_parser_parse(parser, event)) return 0;
    memset(out, 0, sizeof *out);
    out->type = event->type;
    out->line = event->start_mark.line + 1;
    out->column = event->start_mark.column + 1;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        out->anchor = (const char *)event->data.alias.anchor;
        break;
    case YAML_SCALAR_EVENT:
        out->anchor = (const char *)event->data.scalar.anchor;
        out->tag = (const char *)event->data.scalar.tag;
        out->text = event->data.scalar.value;
        out->length = event->data.scalar.length;
        out->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        out->is_double_quoted = event->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
        break;
    case YAML_SEQUENCE_START_EVENT:
        out->anchor = (const char *)event->data.sequence_start.anchor;
        out->tag = (const char *)event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        out->anchor = (const char *)event->data.mapping_start.anchor;
        out->tag = (const char *)event->data.mapping_start.tag;
        break;
    default:
        break;
    }
    return 1;
}

/* The place and words of the parser's error. A mark of 0/0 without a problem mark is a reader
   error: only an offset is known. */
static inline const char *portico_yaml_problem(const yaml_parser_t *parser) {
    return parser->problem ? parser->problem : "malformed";
}
static inline size_t portico_yaml_problem_line(const yaml_parser_t *parser) {
    if (parser->error == YAML_READER_ERROR) return parser->mark.line + 1;
    return parser->problem_mark.line + 1;
}
static inline size_t portico_yaml_problem_column(const yaml_parser_t *parser) {
    if (parser->error == YAML_READER_ERROR) return parser->mark.column + 1;
    return parser->problem_mark.column + 1;
}
/* Where what the parser was reading begins. */
static inline size_t portico_yaml_context_line(const yaml_parser_t *parser) {
    return parser->context_mark.line + 1;
}
static inline size_t portico_yaml_context_column(const yaml_parser_t *parser) {
    return parser->context_mark.column + 1;
}
/* Characters of the text before the place. */
static inline size_t portico_yaml_problem_index(const yaml_parser_t *parser) {
    if (parser->error == YAML_READER_ERROR) return parser->mark.index;
    return parser->problem_mark.index;
}
static inline const char *portico_yaml_context(const yaml_parser_t *parser) {
    return parser->context;
}
#endif
