/* Memory of others: an address is good for as long as it is mapped, whoever has
 * made the memory; and while it is copied, nobody waits for the file's lock.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"
#include "faultrig.h"

#include "../common/wbtest.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- memory that has an address only while it is mapped ---------------------- */

typedef struct
{
  GstMemory memory;
  guint8 *bytes;  /* where they are kept */
  guint8 *mapped; /* where they are seen, or NULL */
  guint maps;
} Fleeting;

typedef GstAllocator FleetingAllocator;
typedef GstAllocatorClass FleetingAllocatorClass;

static GType fleeting_allocator_get_type (void);
G_DEFINE_TYPE (FleetingAllocator, fleeting_allocator, GST_TYPE_ALLOCATOR)

static GstMemory *
fleeting_alloc (
    GstAllocator *allocator, gsize size, GstAllocationParams *params)
{
  Fleeting *memory = g_new0 (Fleeting, 1);
  gsize whole = size + params->prefix + params->padding;

  gst_memory_init (GST_MEMORY_CAST (memory),
      params->flags | GST_MEMORY_FLAG_NO_SHARE, allocator, NULL, whole, 0,
      params->prefix, size);
  memory->bytes = g_malloc0 (whole);
  return GST_MEMORY_CAST (memory);
}

static void
fleeting_free (GstAllocator *allocator, GstMemory *memory)
{
  g_free (((Fleeting *) memory)->bytes);
  g_free (memory);
}

static gpointer
fleeting_map (GstMemory *memory, gsize size, GstMapFlags flags)
{
  Fleeting *self = (Fleeting *) memory;

  if (self->maps++ > 0)
    return self->mapped;
  self->mapped = mmap (NULL, memory->maxsize, PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy (self->mapped, self->bytes, memory->maxsize);
  return self->mapped;
}

static void
fleeting_unmap (GstMemory *memory)
{
  Fleeting *self = (Fleeting *) memory;

  if (--self->maps > 0)
    return;
  memcpy (self->bytes, self->mapped, memory->maxsize);
  munmap (self->mapped, memory->maxsize);
}

static void
fleeting_allocator_class_init (FleetingAllocatorClass *klass)
{
  klass->alloc = fleeting_alloc;
  klass->free = fleeting_free;
}

static void
fleeting_allocator_init (FleetingAllocator *allocator)
{
  allocator->mem_type = "Fleeting";
  allocator->mem_map = fleeting_map;
  allocator->mem_unmap = fleeting_unmap;
}

static void
set_default_allocator (void)
{
  gst_allocator_set_default (
      g_object_new (fleeting_allocator_get_type (), NULL));
}

/* --- runs ----------------------------------------------------------------------- */

static Rig *
begin (const gchar *directory)
{
  static const RigPart nothing = { 0, 0, 1, FALSE };
  g_autofree gchar *path = g_build_filename (directory, "file", NULL);
  Rig *rig;

  fault_reset ();
  fault_ideal_disk (TRUE);
  rig = rig_new (path, "sync-timeout=20000000000");
  case_check (gst_element_set_state (rig->pipeline, GST_STATE_PLAYING)
          != GST_STATE_CHANGE_FAILURE,
      "it does not start");
  rig_feeder_end (rig_feed (rig, &nothing), NULL);
  return rig;
}

/* Memory of the default allocator. */
static GstBuffer *
default_buffer (guint64 at, gsize size)
{
  g_autofree guint8 *bytes = wb_pattern (at, size, 1);
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);

  gst_buffer_fill (buffer, 0, bytes, size);
  return buffer;
}

static void
write_pieces (Rig *rig, gsize size, gboolean list)
{
  GstBufferList *all = list ? gst_buffer_list_new () : NULL;
  GstFlowReturn flow = GST_FLOW_OK;

  for (guint64 at = 0; at < 32 * size && flow == GST_FLOW_OK; at += size) {
    g_autofree guint8 *bytes = wb_pattern (at, size, 1);

    if (list)
      gst_buffer_list_insert (all, -1, default_buffer (at, size));
    else
      flow = gst_pad_push (rig->src, default_buffer (at, size));
    wb_model_write (rig->model, at, bytes, size);
  }
  if (list)
    flow = gst_pad_push_list (rig->src, all);
  gst_pad_push_event (rig->src, gst_event_new_eos ());
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  case_check (flow == GST_FLOW_OK && rig_count (rig, RIG_COMPLAINTS) == 0, "%s",
      rig_complaint (rig));
  rig_assert_content (rig->path, rig->model);
  rig_free (rig);
}

static void
allocator_set_before (const gchar *directory)
{
  set_default_allocator ();
  write_pieces (begin (directory), RIG_PIECE, FALSE);
}

static void
allocator_set_after (const gchar *directory)
{
  Rig *rig = begin (directory);

  set_default_allocator ();
  write_pieces (rig, RIG_PIECE, FALSE);
}

static void
allocator_small_buffers (const gchar *directory)
{
  set_default_allocator ();
  write_pieces (begin (directory), 1000, FALSE);
}

static void
allocator_lists (const gchar *directory)
{
  set_default_allocator ();
  write_pieces (begin (directory), RIG_PIECE, TRUE);
}

/* --- a copy that does not come to its end ------------------------------------- */

#define FRAME (1 << 20)

static guint8 *frame;
static int faulted[2], go_on[2];

/* In the thread that reads the frame: until the test has looked. */
static void
hold_up (int number, siginfo_t *info, void *context)
{
  guint8 *at = info->si_addr;
  char byte = 0;

  if (at < frame || at >= frame + FRAME)
    _exit (3);
  if (write (faulted[1], &byte, 1) != 1 || read (go_on[0], &byte, 1) != 1)
    _exit (4);
  mprotect (frame, FRAME, PROT_READ | PROT_WRITE);
}

static void
set_up_frame (void)
{
  struct sigaction action = { .sa_sigaction = hold_up, .sa_flags = SA_SIGINFO };

  frame = mmap (NULL, FRAME, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  case_check (frame != MAP_FAILED && pipe (faulted) == 0 && pipe (go_on) == 0
          && sigaction (SIGSEGV, &action, NULL) == 0
          && sigaction (SIGBUS, &action, NULL) == 0,
      "%s", g_strerror (errno));
}

/* Of a pool: it lends the memory of another one. */
static GstBuffer *
lent_buffer (void)
{
  GstBuffer *parent = gst_buffer_new ();
  GstBuffer *buffer =
      gst_buffer_new_wrapped_full (0, frame, FRAME, 0, FRAME, NULL, NULL);

  gst_buffer_add_parent_buffer_meta (buffer, parent);
  gst_buffer_unref (parent);
  return buffer;
}

static gpointer
push (gpointer data)
{
  Rig *rig = data;

  return GINT_TO_POINTER (gst_pad_push (rig->src, lent_buffer ()));
}

static gint answered; /* atomic */

static gpointer
ask (gpointer data)
{
  rig_stat (data, "queued-bytes");
  g_atomic_int_set (&answered, TRUE);
  return NULL;
}

static void
stats_during_a_copy (const gchar *directory)
{
  Rig *rig = begin (directory);
  GThread *pusher, *asker;
  GstFlowReturn flow;
  char byte = 0;
  gint in_time;

  set_up_frame ();
  pusher = g_thread_new ("pusher", push, rig);
  case_check (read (faulted[0], &byte, 1) == 1, "nobody reads the frame");
  asker = g_thread_new ("asker", ask, rig);
  for (guint i = 0; i < 3000 && !g_atomic_int_get (&answered); i++)
    g_usleep (1000);
  in_time = g_atomic_int_get (&answered);
  case_check (write (go_on[1], &byte, 1) == 1, "%s", g_strerror (errno));
  flow = GPOINTER_TO_INT (g_thread_join (pusher));
  g_thread_join (asker);
  gst_element_set_state (rig->pipeline, GST_STATE_NULL);
  case_check (in_time, "reading the stats waits for the copy of a frame");
  case_check (flow == GST_FLOW_OK && rig_count (rig, RIG_COMPLAINTS) == 0, "%s",
      rig_complaint (rig));
  case_check (wb_file_size (rig->path) == FRAME, "not whole");
  rig_free (rig);
}

int
main (int argc, char **argv)
{
  static const NamedCase named[] = {
    { "a default allocator of the application's", allocator_set_before },
    { "the same, set while the file is open", allocator_set_after },
    { "the same, small buffers", allocator_small_buffers },
    { "the same, lists", allocator_lists },
    { "stats while a frame of a pool is copied", stats_during_a_copy },
  };

  rig_init (&argc, &argv);
  return cases_run_named (named, G_N_ELEMENTS (named), argv + 1);
}
