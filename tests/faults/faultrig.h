/* The element in a pipeline, on a table of calls that fail or hang.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A rig is a pipeline that holds the sink alone, a pad in front of it, and
 * everything the sink said on the bus, with its time: also what it says while
 * it stops, which no application pops from a bus. Buffers are counted, so that
 * one that is held for ever is noticed, and what was accepted is known.
 *
 * A feeder is a streaming thread: it pushes pieces of a pattern, with patches
 * behind them as a muxer makes them.
 *
 * All of it ends the process's case (cases.h) when something is wrong.
 */
#pragma once

#include "cases.h"
#include "faultsys.h"

#include <gst/gst.h>

G_BEGIN_DECLS

/* One buffer. */
#define RIG_PIECE (64 * 1024)

/* What the sink said. */
typedef struct
{
  GstMessageType type;
  gint64 at_us;
  GQuark domain; /* ERROR, WARNING */
  gint code;
  gchar *text;   /* of those, or the name of an element message */
  gchar *result; /* of wbfilesink-sync */
} RigNote;

typedef struct
{
  GstElement *pipeline, *sink;
  GstPad *src;
  gchar *path;
  GByteArray *model; /* what was accepted, as it lies in the file */
  GMutex lock;
  GPtrArray *notes; /* RigNote */
} Rig;

/* GStreamer without any plugin: the element is linked to the test, so that the
 * calls can be set, and its type must not come from the plugin as well. */
void rig_init (int *argc, char ***argv);

/* `properties`: "a=1 b=2". The calls are those of fault_sys(). */
Rig *rig_new (const gchar *path, const gchar *properties);
/* In state NULL. Its element is gone with it, whatever its threads do. */
void rig_free (Rig *rig);

/* gst_element_set_state(), of the pipeline or of the sink alone, which has to
 * return within the bound. Does not wait for what goes on asynchronously. */
GstStateChangeReturn rig_set_state (GstElement *element, GstState state,
    gint64 bound_us, const gchar *what, gint64 *longest_us);

guint rig_count (Rig *rig, GstMessageType types);
/* The nth of them, from 0, or NULL. */
const RigNote *rig_nth (Rig *rig, GstMessageType types, guint n);
/* What the last wbfilesink-sync said, or "none". */
const gchar *rig_last_result (Rig *rig);
#define RIG_COMPLAINTS (GST_MESSAGE_ERROR | GST_MESSAGE_WARNING)
/* The first of these, for a report. */
const gchar *rig_complaint (Rig *rig);

typedef struct
{
  guint64 from, to; /* bytes, whole pieces */
  guint seed;
  gboolean eos;    /* ends with it, */
  guint linger_us; /* after a while */
} RigPart;

typedef struct _RigFeeder RigFeeder;

/* Streams a part on a thread of its own: STREAM_START, a segment that says
 * where it lies and how long the file gets, pieces and patches, EOS. */
RigFeeder *rig_feed (Rig *rig, const RigPart *part);
gboolean rig_feeder_is_done (RigFeeder *feeder);
/* Joins it. `*rest` (or NULL) is what was not accepted of the part. */
GstFlowReturn rig_feeder_end (RigFeeder *feeder, RigPart *rest);
/* How long its EOS took, or has been taking; 0 before it. */
gint64 rig_feeder_eos_us (RigFeeder *feeder);

/* Discards what the sink has: FLUSH_START, which ends the feeder (or NULL), and
 * FLUSH_STOP. */
void rig_flush (
    Rig *rig, RigFeeder *feeder, gint64 bound_us, gint64 *longest_us);

/* A figure of `writeback-stats`. */
guint64 rig_stat (Rig *rig, const gchar *name);

/* Content: exactly the model; or, of a file that was given up, at each place
 * what one of the models has there, or a hole (a model may be NULL). */
void rig_assert_content (const gchar *path, const GByteArray *model);
void rig_assert_within (
    const gchar *path, const GByteArray *model, const GByteArray *other);
/* What the part makes of a file. */
void rig_model (GByteArray *model, const RigPart *part);

/* No descriptor below the directory, no thread of a file, no buffer of any rig,
 * at the latest when they have had time to end. */
void rig_assert_nothing_left (const gchar *directory, gdouble scale);

/* The case is late if the bound is missed. `*longest_us` (or NULL) becomes what
 * it took, if that is more. */
void rig_check_bound (
    gint64 began_us, gint64 bound_us, const gchar *what, gint64 *longest_us);

G_END_DECLS
