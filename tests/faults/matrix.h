/* A run of the matrix of hangs (matrix.c): what a case is, and its parts.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * matrix.c plans the cases and reports, matrix-run.c runs one, matrix-acts.c is
 * what a situation does while the call hangs, and matrix-said.c judges what the
 * element says of it. Each uses those after it.
 */
#pragma once

#include "faultrig.h"

G_BEGIN_DECLS

#define MS 1000
/* At scale 1. */
#define SYNC_TIMEOUT (300 * MS)
/* The least that opening is given. */
#define OPEN_TIMEOUT (500 * MS)
/* What has to answer at once has to do it before any timeout. */
#define AT_ONCE (250 * MS)
/* What is allowed beyond the timeout. */
#define GRACE (1000 * MS)

#define PART (28 * RIG_PIECE)
#define SMALL_QUEUE (8 * RIG_PIECE)
/* Fits the small queue, patches and all. */
#define SMALL_PART (6 * RIG_PIECE)

typedef enum
{
  AT_EOS,
  AT_EOS_ERROR, /* on-sync-timeout=error */
  AT_STOP,      /* to NULL at once, without EOS at the end */
  AT_PAUSE,     /* PAUSED and back, READY and back */
  AT_READY,     /* and then, when the call is back, to NULL */
  AT_FLUSH,
  AT_LOCATION, /* to NULL, another location, to PLAYING, as splitmuxsink */
  AT_DISPOSE,
  AT_QUERY,    /* and properties */
  AT_PUSH,     /* the queue fills, and the storage comes back */
  AT_INTERVAL, /* like EOS, and synced at intervals before it */
  SITUATIONS
} Situation;

typedef enum
{
  HANGS_A_MOMENT,
  HANGS_LONGER, /* than the bound, and comes back */
  HANGS_FOR_EVER,
  HANGS
} Hang;

typedef enum
{
  FIRST,
  SECOND,
  LAST
} Occurrence;

typedef struct
{
  FaultCall call;
  Occurrence occurrence;
  guint nth; /* 0: nothing hangs, the calls are counted */
  Hang hang;
  Situation situation;
} Case;

/* What a case times, in its result. */
enum
{
  TIME_START,
  TIME_ACT,
  TIME_EOS,
  TIME_STOP,
  TIMES
};

/* A file: what all of the parts make of it, before and after a flush. */
typedef struct
{
  gchar *path;
  GByteArray *content;
  GByteArray *after_flush; /* or NULL */
} Target;

/* A case that runs. */
typedef struct
{
  const Case *c;
  CaseResult *result;
  const gchar *directory;
  gdouble scale;
  Rig *rig;
  RigPart parts[2];
  guint n_parts;
  Target targets[2]; /* the second after a change of location */
  Target *current;
  Target *hung; /* whose call was seen hanging, or NULL */
  gboolean acted;
  gboolean replaced; /* the parts, by others that begin anew */
  gboolean stopped;
  gboolean failed_start;
  gboolean lost; /* it was given up with bytes in the queue */
} Run;

static inline gint64
scaled (const Run *run, gint64 us)
{
  return (gint64) (us * run->scale);
}

static inline gint64
at_once (const Run *run)
{
  return scaled (run, AT_ONCE);
}

static inline gint64
within_timeout (const Run *run)
{
  return scaled (run, SYNC_TIMEOUT + GRACE);
}

static inline gint64 *
act_time (Run *run)
{
  return &run->result->times_us[TIME_ACT];
}

static inline gboolean
is_hanging (void)
{
  return fault_hanging_since () != 0;
}

/* Keeps which file it was. */
static inline void
look_for_hang (Run *run)
{
  if (run->hung == NULL && fault_was_hit ())
    run->hung = run->current;
}

/* What is in the queue when the wait for it ends is lost. */
static inline void
look_for_loss (Run *run)
{
  run->lost |= !run->failed_start && run->hung == run->current && is_hanging ()
      && rig_stat (run->rig, "queued-bytes") > 0;
}

/* --- matrix-said.c --- */

/* What a busy machine does: a thread that was ready to run did not for as long
 * as the timeout, in none of the calls or beside the one that hangs. If it is
 * not the machine, it is so again with more time. */
void matrix_look_for_held_up_threads (Run *run);
/* As many complaints as there should be, of the kind they should be. */
void matrix_assert_complaints (Run *run);

/* --- matrix-acts.c --- */

/* Queries and properties, which answer at once. */
void matrix_ask_everything (Run *run);
/* The bound of a start. A file that cannot be opened in time is none. */
gboolean matrix_start (Run *run, GstElement *element, const gchar *what);
void matrix_stop (Run *run);
/* What was written to the current file. */
void matrix_check_file (Run *run, gboolean given_up);
/* What is done when the call hangs, or at the end if it has not hung yet.
 * Returns the feeder that goes on, or NULL. */
RigFeeder *matrix_act (Run *run, RigFeeder *feeder, const RigPart *part);

/* --- matrix-run.c --- */

/* Case `index` of the array `data`: a CaseFunc. */
void matrix_run_case (guint index, gdouble scale, const gchar *directory,
    gpointer data, CaseResult *result);

G_END_DECLS
