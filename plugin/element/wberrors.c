/* wbfilesink: errors
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element/gstwbfilesink-private.h"

#include <errno.h>

/* How long an error that another thread is about to post is waited for: one that
 * comes while the bin begins the next try ends that, and who waits in preroll waits
 * for good. Bounded, because a handler of the message may wait for the state change;
 * generous, because a thread between the two may not run for a while (a quarter of a
 * second was too little on a machine with a load of 15). */
#define PATIENCE_US (2 * G_USEC_PER_SEC)

void
wb_errors_init (WbErrors *errors)
{
  g_cond_init (&errors->posted);
}

void
wb_errors_clear (WbErrors *errors)
{
  g_cond_clear (&errors->posted);
}

void
wb_errors_forget (WbErrors *errors)
{
  errors->state = WB_ERRORS_NONE;
  errors->try++;
}

/* With the object lock. What another thread is just posting is waited for, but not
 * for longer than a state change may wait. */
static void
wait_until_posted (GstWbFileSink *self)
{
  gint64 deadline = g_get_monotonic_time () + PATIENCE_US;

  while (self->errors.state == WB_ERRORS_BEING_POSTED
      && self->errors.poster != g_thread_self ()
      && g_cond_wait_until (
          &self->errors.posted, GST_OBJECT_GET_LOCK (self), deadline))
    ;
}

void
wb_errors_begin_try (GstWbFileSink *self)
{
  GST_OBJECT_LOCK (self);
  wait_until_posted (self);
  wb_errors_forget (&self->errors);
  GST_OBJECT_UNLOCK (self);
}

guint
wb_errors_get_try (GstWbFileSink *self)
{
  guint try;

  GST_OBJECT_LOCK (self);
  try = self->errors.try;
  GST_OBJECT_UNLOCK (self);
  return try;
}

/* TRUE: it is the caller's to post, who then says was_posted(). FALSE: the try is
 * over, or somebody else has posted it. If another thread is just about to, that is
 * waited for, because a pipeline that goes to NULL in between would drop the
 * message, and EOS must not come before it; but not for longer than a state
 * change may wait, should a handler of the message be what waits for that. */
static gboolean
claim_in_try (GstWbFileSink *self, guint try)
{
  gboolean first;

  GST_OBJECT_LOCK (self);
  first = self->errors.state == WB_ERRORS_NONE && self->errors.try == try;
  if (first) {
    self->errors.state = WB_ERRORS_BEING_POSTED;
    self->errors.poster = g_thread_self ();
  }
  if (!first)
    wait_until_posted (self);
  GST_OBJECT_UNLOCK (self);
  return first;
}

static gboolean
claim (GstWbFileSink *self)
{
  return claim_in_try (self, wb_errors_get_try (self));
}

static void
was_posted (GstWbFileSink *self)
{
  GST_OBJECT_LOCK (self);
  /* Unless it took so long that the next file was begun. */
  if (self->errors.state == WB_ERRORS_BEING_POSTED
      && self->errors.poster == g_thread_self ())
    self->errors.state = WB_ERRORS_POSTED;
  g_cond_broadcast (&self->errors.posted);
  GST_OBJECT_UNLOCK (self);
}

static void
post_no_space (GstWbFileSink *self, const WbError *error, const gchar *name)
{
  const gchar *reason = g_strerror (error->code);

  /* A quota allows less than the disk has. */
  if (error->wanted != 0 && error->code != ENOSPC) {
    GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT,
        ("No space for file \"%s\": %" G_GUINT64_FORMAT
         " bytes wanted: %s: %s.",
            name, error->wanted, error->call, reason),
        ("%s", error->call));
    return;
  }
  if (error->wanted != 0) {
    GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT,
        ("No space for file \"%s\": %" G_GUINT64_FORMAT
         " bytes wanted, %" G_GUINT64_FORMAT " free: %s: %s.",
            name, error->wanted, error->free, error->call, reason),
        ("%s", error->call));
    return;
  }
  GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT,
      ("No space left for file \"%s\" at offset %" G_GUINT64_FORMAT ": %s: %s.",
          name, error->offset, error->call, reason),
      ("%s: %s (errno %d)", error->call, reason, error->code));
}

static void
post_write_failure (
    GstWbFileSink *self, const WbError *error, const gchar *name)
{
  const gchar *reason = g_strerror (error->code);

  if (error->wanted != 0) {
    GST_ELEMENT_ERROR (self, RESOURCE, WRITE,
        ("Could not reserve %" G_GUINT64_FORMAT
         " bytes for file \"%s\" (preallocate=require): %s: %s.",
            error->wanted, name, error->call, reason),
        ("%s: %s (errno %d)", error->call, reason, error->code));
    return;
  }
  GST_ELEMENT_ERROR (self, RESOURCE, WRITE,
      ("Error while writing to file \"%s\" at offset %" G_GUINT64_FORMAT
       ": %s: %s.",
          name, error->offset, error->call, reason),
      ("%s: %s (errno %d)", error->call, reason, error->code));
}

static void
post_rename_failure (
    GstWbFileSink *self, const WbError *error, const gchar *name)
{
  g_autofree gchar *goal = wb_messages_get_goal (self);
  const gchar *reason = g_strerror (error->code);

  GST_ELEMENT_ERROR (self, RESOURCE, WRITE,
      ("Could not rename file \"%s\" to \"%s\": %s: %s.", name, goal,
          error->call, reason),
      ("%s: %s (errno %d)", error->call, reason, error->code));
}

static void
post_in_try (GstWbFileSink *self, const WbError *error, guint try)
{
  g_autofree gchar *name = wb_messages_get_name (self);
  const gchar *reason = g_strerror (error->code);

  if (error->kind == WB_ERROR_NONE || !claim_in_try (self, try))
    return;
  switch (error->kind) {
    case WB_ERROR_NONE:
      break;
    case WB_ERROR_NO_LOCATION:
      GST_ELEMENT_ERROR (self, RESOURCE, NOT_FOUND,
          ("No file name specified for writing."), (NULL));
      break;
    case WB_ERROR_OPEN:
      GST_ELEMENT_ERROR (self, RESOURCE, OPEN_WRITE,
          ("Could not open file \"%s\" for writing: %s: %s.", name, error->call,
              reason),
          ("%s: %s (errno %d)", error->call, reason, error->code));
      break;
    case WB_ERROR_BUSY:
      GST_ELEMENT_ERROR (self, RESOURCE, BUSY,
          ("Could not open file \"%s\" for writing: an earlier call on it "
           "still hangs.",
              name),
          ("a thread that was left behind still holds the file"));
      break;
    case WB_ERROR_NO_SIZE:
      GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
          ("File \"%s\": preallocate=require needs a size: set size-hint.",
              name),
          (NULL));
      break;
    case WB_ERROR_NAMES:
      GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
          ("File \"%s\": part-suffix and on-exists are for new files: they do "
           "not go with append or file-mode, and the suffix has no slash.",
              name),
          (NULL));
      break;
    case WB_ERROR_RENAME:
      post_rename_failure (self, error, name);
      break;
    case WB_ERROR_FINISHED:
      GST_ELEMENT_ERROR (self, RESOURCE, WRITE,
          ("File \"%s\" is whole and has its name: what follows a flush is not "
           "written into it.",
              name),
          (NULL));
      break;
    case WB_ERROR_NO_SPACE:
      post_no_space (self, error, name);
      break;
    case WB_ERROR_WRITE:
      post_write_failure (self, error, name);
      break;
    case WB_ERROR_SYNC:
      GST_ELEMENT_ERROR (self, RESOURCE, SYNC,
          ("Could not sync file \"%s\" at offset %" G_GUINT64_FORMAT
           ": %s: %s.",
              name, error->offset, error->call, reason),
          ("%s: %s (errno %d)", error->call, reason, error->code));
      break;
    case WB_ERROR_SHARED:
      GST_ELEMENT_ERROR (self, RESOURCE, SEEK,
          ("File \"%s\": others have appended to it, so the seek to offset "
           "%" G_GUINT64_FORMAT " would overwrite what is theirs.",
              name, error->offset),
          (NULL));
      break;
    case WB_ERROR_SEEK:
      GST_ELEMENT_ERROR (self, RESOURCE, SEEK,
          ("Error while seeking in file \"%s\" to %" G_GUINT64_FORMAT
           ": %s: %s.",
              name, error->offset, error->call, reason),
          (NULL));
      break;
    case WB_ERROR_CLOSE:
      GST_ELEMENT_ERROR (self, RESOURCE, CLOSE,
          ("Error closing file \"%s\" after %" G_GUINT64_FORMAT
           " bytes: %s: %s.",
              name, error->offset, error->call, reason),
          ("%s: %s (errno %d)", error->call, reason, error->code));
      break;
    case WB_ERROR_THREAD:
      GST_ELEMENT_ERROR (self, RESOURCE, FAILED,
          ("Could not start a thread to write file \"%s\": %s: %s.", name,
              error->call, reason),
          (NULL));
      break;
  }
  was_posted (self);
}

void
wb_errors_post (GstWbFileSink *self, const WbError *error)
{
  post_in_try (self, error, wb_errors_get_try (self));
}

void
wb_errors_post_news_of_file (GstWbFileSink *self, WbFile *file, guint try)
{
  WbError error;

  if (wb_file_get_error (file, &error))
    post_in_try (self, &error, try);
}

void
wb_errors_post_of_file (GstWbFileSink *self, WbFile *file)
{
  wb_errors_post_news_of_file (self, file, wb_errors_get_try (self));
}

void
wb_errors_post_open_failure (
    GstWbFileSink *self, const WbError *error, const WbStall *stall)
{
  g_autofree gchar *name = NULL;
  g_autofree gchar *what = NULL;

  if (stall->call == NULL) {
    wb_errors_post (self, error);
    return;
  }
  name = wb_messages_get_name (self);
  what = wb_messages_describe_stall (stall);
  GST_ELEMENT_ERROR (self, RESOURCE, OPEN_WRITE,
      ("Could not open file \"%s\" for writing: %s.", name, what), (NULL));
}

void
wb_errors_post_unreadable (GstWbFileSink *self, GstBuffer *buffer)
{
  g_autofree gchar *name = wb_messages_get_name (self);

  if (!claim (self))
    return;
  GST_ELEMENT_ERROR (self, RESOURCE, WRITE,
      ("Error while writing to file \"%s\": a buffer of %" G_GSIZE_FORMAT
       " bytes could not be read.",
          name, gst_buffer_get_size (buffer)),
      ("mapping %" GST_PTR_FORMAT " failed", buffer));
  was_posted (self);
}

void
wb_errors_post_lost (GstWbFileSink *self, const WbStall *stall, guint64 bytes)
{
  g_autofree gchar *name = wb_messages_get_name (self);
  g_autofree gchar *what = wb_messages_describe_stall (stall);

  if (!claim (self))
    return;
  GST_ELEMENT_ERROR (self, RESOURCE, WRITE,
      ("File \"%s\": %s; %" G_GUINT64_FORMAT
       " bytes that were accepted are not written.",
          name, what, bytes),
      (NULL));
  was_posted (self);
}

gboolean
wb_errors_post_timeout (
    GstWbFileSink *self, const WbStall *stall, const gchar *consequence)
{
  g_autofree gchar *name = wb_messages_get_name (self);
  g_autofree gchar *what = wb_messages_describe_stall (stall);
  gboolean fatal = wb_settings_timeout_is_error (self);

  if (!fatal) {
    GST_ELEMENT_WARNING (self, RESOURCE, SYNC,
        ("File \"%s\": %s; %s.", name, what, consequence), (NULL));
  } else if (claim (self)) {
    GST_ELEMENT_ERROR (self, RESOURCE, SYNC,
        ("File \"%s\": %s; %s.", name, what, consequence), (NULL));
    was_posted (self);
  }
  return fatal;
}
