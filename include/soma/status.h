/* Status codes and the last error's text.
 * Doing returns a soma_status that must be looked at; building returns a pointer, NULL on failure.
 * The text of the first error since soma_clear_error stays with the context. */
#ifndef SOMA_STATUS_H
#define SOMA_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SOMA_API __attribute__((visibility("default")))
#define SOMA_MUST_CHECK __attribute__((warn_unused_result))
#define SOMA_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define SOMA_API
#define SOMA_MUST_CHECK
#define SOMA_PRINTF(text, first)
#endif

/** Every status with its meaning: X(name, text). */
#define SOMA_STATUS_LIST(X)                                                                                            \
    X(SOMA_OK, "success")                                                                                              \
    X(SOMA_INVALID, "invalid argument")                                                                                \
    X(SOMA_SHAPE, "shapes do not fit")                                                                                 \
    X(SOMA_DTYPE, "dtype not supported here")                                                                          \
    X(SOMA_NO_MEMORY, "out of memory")                                                                                 \
    X(SOMA_IO, "input or output failed")                                                                               \
    X(SOMA_FORMAT, "file is malformed or not supported")                                                               \
    X(SOMA_NOT_FOUND, "name not found")                                                                                \
    X(SOMA_UNSUPPORTED, "not supported in this build or for this op")                                                  \
    X(SOMA_DIVERGED, "training diverged")                                                                              \
    X(SOMA_INTERRUPTED, "interrupted")

typedef enum soma_status {
#define SOMA_STATUS_ENUM(name, text) name,
    SOMA_STATUS_LIST(SOMA_STATUS_ENUM)
#undef SOMA_STATUS_ENUM
} soma_status;

/** Short English text of a status, never NULL. */
SOMA_API const char *soma_status_text(soma_status status);

#ifdef __cplusplus
}
#endif
#endif
