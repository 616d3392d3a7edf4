/* The base floor in one include: errors, memory, strings, numbers, random numbers, threads, files.
 * Each concept has its own header and source beside this one. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include "base/arena.h"
#include "base/context_internal.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/philox.h"
#include "base/team.h"
#include "base/text.h"

#endif
