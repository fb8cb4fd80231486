/* wbfilesink: who may enter, in words that clang checks
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A file has one lock. A field that it guards says WB_GUARDED_BY (wb_locked), and
 * a function that is entered with it says WB_REQUIRES (wb_locked); one that is
 * entered without says WB_EXCLUDES. What only one of the file's threads may enter
 * or touch says the thread's role. With -Wthread-safety clang refuses a caller who
 * has not got what is required (CI builds so); other compilers see nothing.
 *
 * There is one capability for "this file is locked" and not one a file, because
 * no function handles two files. A role is taken at the top of a thread, or where
 * a caller's thread is known by contract, with wb_assume_...(): each such place
 * says why.
 */
#pragma once

#ifdef __clang__
#define WB_ATTRIBUTE(attribute) __attribute__ ((attribute))
#else
#define WB_ATTRIBUTE(attribute)
#endif

#define WB_GUARDED_BY(capability) WB_ATTRIBUTE (guarded_by (capability))
#define WB_REQUIRES(...) WB_ATTRIBUTE (requires_capability (__VA_ARGS__))
#define WB_EXCLUDES(...) WB_ATTRIBUTE (locks_excluded (__VA_ARGS__))
#define WB_ACQUIRES(...) WB_ATTRIBUTE (acquire_capability (__VA_ARGS__))
#define WB_RELEASES(...) WB_ATTRIBUTE (release_capability (__VA_ARGS__))
#define WB_ASSUMES(...) WB_ATTRIBUTE (assert_capability (__VA_ARGS__))
/* The analysis can't follow: each use says why it is right. */
#define WB_UNCHECKED WB_ATTRIBUTE (no_thread_safety_analysis)

struct WB_ATTRIBUTE (capability ("lock")) WbLocked
{
  char unused;
};

struct WB_ATTRIBUTE (capability ("role")) WbRole
{
  char unused;
};

/* Named in attributes only: nobody defines them. A function without a role may be
 * entered by any thread. */
extern struct WbLocked wb_locked;      /* the file's lock is held */
extern struct WbRole wb_io_thread;     /* writes, syncs on request, opens */
extern struct WbRole wb_retire_thread; /* starts write-out and waits for it */
extern struct WbRole wb_sync_thread;   /* syncs at intervals */
extern struct WbRole wb_stream_thread; /* pushes: the caller's */

static inline void wb_assume_io_thread (void) WB_ASSUMES (wb_io_thread);
static inline void wb_assume_retire_thread (void) WB_ASSUMES (wb_retire_thread);
static inline void wb_assume_sync_thread (void) WB_ASSUMES (wb_sync_thread);
static inline void wb_assume_stream_thread (void) WB_ASSUMES (wb_stream_thread);
static inline void wb_assume_locked (void) WB_ASSUMES (wb_locked);

static inline void
wb_assume_io_thread (void)
{
}

static inline void
wb_assume_retire_thread (void)
{
}

static inline void
wb_assume_sync_thread (void)
{
}

static inline void
wb_assume_stream_thread (void)
{
}

static inline void
wb_assume_locked (void)
{
}
