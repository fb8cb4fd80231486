/* wbfilesink benchmark: a modelled device as a file for a loop device
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Problem: a model is arithmetic; a file system wants a block device. Kernels
 * come without nbd and ublk, but with loop and FUSE.
 *
 * Strategy: a FUSE file system with two files. A loop device with direct I/O
 * goes onto "disk": its requests come here as they are, and are answered when
 * the model says. Data goes to memory at once; only the answer waits, and time
 * is slept, not burnt. "stats" says what the model has counted, as JSON; written
 * to, it obeys one word: "reset" (counters to zero, the device rested),
 * "instant" (answer everything at once, to make file systems and to clean up)
 * and "timed"; "seed N" is for the next reset.
 *
 * One thread takes requests in, the other is the device; both come before
 * whatever else runs here, or a busy machine would be a slower disk. The lock
 * holds the model; answers are sent without it.
 *
 * Layout: the data; the device's thread; stats; FUSE; serving.
 */
#define FUSE_USE_VERSION 35
#include "modeldisk.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* What FUSE carries in one request; the loop device's are cut to it. */
#define LARGEST (1024 * 1024)
/* More than any queue in front of it holds. */
#define UNDER_WAY 512
#define DEVICE_PRIORITY 10
/* A day: attributes do not change. */
#define VALID_S 86400.0
#define NS_PER_S 1e9

enum
{
  INO_ROOT = FUSE_ROOT_ID,
  INO_DISK,
  INO_STATS,
};

struct _ModelDisk
{
  int store;
  guint64 size;
  gsize forget;

  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t cond;
  /* Under the lock. */
  Model *model;
  gboolean instant;
  gboolean news;
  gboolean stopping;
};

static gdouble
now_s (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec + ts.tv_nsec / NS_PER_S;
}

/* --- the data --- */

static gboolean
is_zero (const char *data, gsize length)
{
  return length == 0
      || (data[0] == 0 && memcmp (data, data + 1, length - 1) == 0);
}

static gboolean
punch (ModelDisk *disk, off_t offset, off_t length)
{
  return fallocate (disk->store, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
             offset, length)
      == 0;
}

/* Streams are gigabytes and nobody reads them; a file system's own blocks come
 * in short requests, or when it is made. */
static gboolean
store_write (ModelDisk *disk, const char *data, gsize length, off_t offset,
    gboolean kept)
{
  if (disk->forget > 0 && length >= disk->forget) {
    if (!kept)
      return TRUE;
    if (is_zero (data, length))
      return punch (disk, offset, length);
  }
  return pwrite (disk->store, data, length, offset) == (ssize_t) length;
}

/* --- the device's thread --- */

static void
answer_read (ModelDisk *disk, const ModelRequest *request)
{
  g_autofree char *data = g_malloc (request->length);
  ssize_t got = pread (disk->store, data, request->length, request->offset);

  if (got < 0)
    fuse_reply_err (request->token, EIO);
  else
    fuse_reply_buf (request->token, data, got);
}

static void
answer (ModelDisk *disk, ModelRequest *request)
{
  switch (request->op) {
    case MODEL_READ:
      answer_read (disk, request);
      break;
    case MODEL_WRITE:
      fuse_reply_write (request->token, request->length);
      break;
    case MODEL_FLUSH:
      fuse_reply_err (request->token, 0);
      break;
  }
  g_free (request);
}

static void
answer_all (ModelDisk *disk, GQueue *answers)
{
  ModelRequest *request;

  while ((request = g_queue_pop_head (answers)) != NULL)
    answer (disk, request);
}

static void
wait_for_news (ModelDisk *disk, gdouble until)
{
  /* MODEL_NEVER is no time. */
  gdouble at = MIN (until, now_s () + VALID_S);
  struct timespec ts = { .tv_sec = at };

  ts.tv_nsec = (at - ts.tv_sec) * NS_PER_S;
  while (!disk->news && !disk->stopping)
    if (pthread_cond_timedwait (&disk->cond, &disk->lock, &ts) == ETIMEDOUT)
      break;
  disk->news = FALSE;
}

static void *
device_thread (void *data)
{
  const struct sched_param priority = { DEVICE_PRIORITY };
  ModelDisk *disk = data;
  GQueue answers = G_QUEUE_INIT;

  pthread_setschedparam (pthread_self (), SCHED_FIFO, &priority);
  pthread_mutex_lock (&disk->lock);
  while (!disk->stopping) {
    gdouble next = model_run (disk->model, now_s (), &answers);

    if (g_queue_is_empty (&answers)) {
      wait_for_news (disk, next);
      continue;
    }
    pthread_mutex_unlock (&disk->lock);
    answer_all (disk, &answers);
    pthread_mutex_lock (&disk->lock);
  }
  pthread_mutex_unlock (&disk->lock);
  return NULL;
}

static void
submit (ModelDisk *disk, ModelRequest *request)
{
  gboolean instant;

  pthread_mutex_lock (&disk->lock);
  instant = disk->instant;
  if (!instant) {
    request->arrived = now_s ();
    model_submit (disk->model, request);
    disk->news = TRUE;
    pthread_cond_signal (&disk->cond);
  }
  pthread_mutex_unlock (&disk->lock);
  if (instant)
    answer (disk, request);
}

static ModelRequest *
request_new (fuse_req_t token, ModelOp op, gsize length, off_t offset)
{
  ModelRequest *request = g_new0 (ModelRequest, 1);

  request->token = token;
  request->op = op;
  request->length = length;
  request->offset = offset;
  return request;
}

/* --- stats --- */

static gchar *
stats_text (ModelDisk *disk)
{
  BenchJson json = { g_string_new ("{"), TRUE };

  pthread_mutex_lock (&disk->lock);
  model_report (disk->model, now_s (), &json);
  pthread_mutex_unlock (&disk->lock);
  g_string_append (json.text, "}\n");
  return g_string_free (json.text, FALSE);
}

static gboolean
obey (ModelDisk *disk, const gchar *word)
{
  gboolean known = TRUE;
  guint seed;

  pthread_mutex_lock (&disk->lock);
  if (g_str_equal (word, "reset"))
    model_reset (disk->model, now_s ());
  else if (g_str_equal (word, "instant") || g_str_equal (word, "timed"))
    disk->instant = g_str_equal (word, "instant");
  else if (sscanf (word, "seed %u", &seed) == 1)
    disk->model->settings.seed = seed;
  else
    known = FALSE;
  pthread_mutex_unlock (&disk->lock);
  return known;
}

/* --- FUSE --- */

static gboolean
attributes (ModelDisk *disk, fuse_ino_t ino, struct stat *st)
{
  *st =
      (struct stat){ .st_ino = ino, .st_nlink = 1, .st_mode = S_IFREG | 0600 };
  if (ino == INO_ROOT)
    st->st_mode = S_IFDIR | 0700;
  else if (ino == INO_DISK)
    st->st_size = disk->size;
  else if (ino != INO_STATS)
    return FALSE;
  return TRUE;
}

static void
on_lookup (fuse_req_t req, fuse_ino_t parent, const char *name)
{
  ModelDisk *disk = fuse_req_userdata (req);
  struct fuse_entry_param entry = { .attr_timeout = VALID_S,
    .entry_timeout = VALID_S };

  (void) parent;
  entry.ino = g_str_equal (name, "disk") ? INO_DISK
      : g_str_equal (name, "stats")      ? INO_STATS
                                         : 0;
  if (!attributes (disk, entry.ino, &entry.attr))
    fuse_reply_err (req, ENOENT);
  else
    fuse_reply_entry (req, &entry);
}

static void
on_getattr (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
  struct stat st;

  (void) file;
  attributes (fuse_req_userdata (req), ino, &st);
  fuse_reply_attr (req, &st, VALID_S);
}

/* A shell that writes a word to stats truncates it first. */
static void
on_setattr (fuse_req_t req, fuse_ino_t ino, struct stat *to, int which,
    struct fuse_file_info *file)
{
  (void) to;
  (void) which;
  on_getattr (req, ino, file);
}

static void
on_open (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
  (void) ino;
  file->direct_io = 1;
  fuse_reply_open (req, file);
}

static void
on_read (fuse_req_t req, fuse_ino_t ino, size_t length, off_t offset,
    struct fuse_file_info *file)
{
  ModelDisk *disk = fuse_req_userdata (req);
  g_autofree gchar *text = NULL;
  gsize all;

  (void) file;
  if (ino == INO_DISK) {
    submit (disk, request_new (req, MODEL_READ, length, offset));
    return;
  }
  text = stats_text (disk);
  all = strlen (text);
  offset = MIN ((gsize) offset, all);
  fuse_reply_buf (req, text + offset, MIN (length, all - offset));
}

static gboolean
is_timed (ModelDisk *disk)
{
  gboolean timed;

  pthread_mutex_lock (&disk->lock);
  timed = !disk->instant;
  pthread_mutex_unlock (&disk->lock);
  return timed;
}

static void
on_write (fuse_req_t req, fuse_ino_t ino, const char *data, size_t length,
    off_t offset, struct fuse_file_info *file)
{
  ModelDisk *disk = fuse_req_userdata (req);
  g_autofree gchar *word = NULL;

  (void) file;
  if (ino == INO_DISK) {
    if (store_write (disk, data, length, offset, !is_timed (disk)))
      submit (disk, request_new (req, MODEL_WRITE, length, offset));
    else
      fuse_reply_err (req, EIO);
    return;
  }
  word = g_strstrip (g_strndup (data, length));
  if (obey (disk, word))
    fuse_reply_write (req, length);
  else
    fuse_reply_err (req, EINVAL);
}

static void
on_fsync (
    fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *file)
{
  (void) data_only;
  (void) file;
  if (ino == INO_DISK)
    submit (fuse_req_userdata (req), request_new (req, MODEL_FLUSH, 0, 0));
  else
    fuse_reply_err (req, 0);
}

/* A discard takes no time: nothing measured here hangs on it. */
static void
on_fallocate (fuse_req_t req, fuse_ino_t ino, int mode, off_t offset,
    off_t length, struct fuse_file_info *file)
{
  ModelDisk *disk = fuse_req_userdata (req);

  (void) file;
  if (ino != INO_DISK
      || (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) == 0)
    fuse_reply_err (req, EOPNOTSUPP);
  else
    fuse_reply_err (req, punch (disk, offset, length) ? 0 : EIO);
}

static void
on_init (void *data, struct fuse_conn_info *connection)
{
  (void) data;
  connection->max_background = UNDER_WAY;
  connection->congestion_threshold = UNDER_WAY;
  connection->max_write = LARGEST;
  connection->max_read = LARGEST;
  connection->want |= connection->capable & FUSE_CAP_ASYNC_DIO;
}

static const struct fuse_lowlevel_ops operations = {
  .init = on_init,
  .lookup = on_lookup,
  .getattr = on_getattr,
  .setattr = on_setattr,
  .open = on_open,
  .read = on_read,
  .write = on_write,
  .fsync = on_fsync,
  .fallocate = on_fallocate,
};

/* --- serving --- */

static int
make_store (guint64 size)
{
  int fd = memfd_create ("wbmodel", MFD_CLOEXEC);

  if (fd >= 0 && ftruncate (fd, size) != 0) {
    close (fd);
    return -1;
  }
  return fd;
}

ModelDisk *
model_disk_new (
    const ModelKind *kind, const ModelSettings *settings, gsize forget)
{
  ModelDisk *disk = g_new0 (ModelDisk, 1);
  pthread_condattr_t attr;

  disk->store = make_store (settings->size);
  disk->size = settings->size;
  disk->forget = forget;
  if (disk->store < 0) {
    g_printerr ("wbmodel: no memory for the data: %s\n", g_strerror (errno));
    g_free (disk);
    return NULL;
  }
  disk->model = model_new (kind, settings, now_s ());
  /* Until a file system is on it. */
  disk->instant = TRUE;
  pthread_mutex_init (&disk->lock, NULL);
  pthread_condattr_init (&attr);
  pthread_condattr_setclock (&attr, CLOCK_MONOTONIC);
  pthread_cond_init (&disk->cond, &attr);
  pthread_condattr_destroy (&attr);
  return disk;
}

void
model_disk_free (ModelDisk *disk)
{
  model_free (disk->model);
  pthread_cond_destroy (&disk->cond);
  pthread_mutex_destroy (&disk->lock);
  close (disk->store);
  g_free (disk);
}

static void
stop_device (ModelDisk *disk)
{
  pthread_mutex_lock (&disk->lock);
  disk->stopping = TRUE;
  pthread_cond_signal (&disk->cond);
  pthread_mutex_unlock (&disk->lock);
  pthread_join (disk->thread, NULL);
}

static void
serve_session (ModelDisk *disk, struct fuse_session *session)
{
  const struct sched_param priority = { DEVICE_PRIORITY - 1 };

  /* The kernel must not make us wait for write-out: it would be to ourselves. */
  prctl (PR_SET_IO_FLUSHER, 1, 0, 0, 0);
  fuse_set_signal_handlers (session);
  if (pthread_create (&disk->thread, NULL, device_thread, disk) != 0)
    g_error ("no thread for the device");
  pthread_setschedparam (pthread_self (), SCHED_FIFO, &priority);
  fuse_session_loop (session);
  stop_device (disk);
  fuse_remove_signal_handlers (session);
}

gboolean
model_disk_serve (ModelDisk *disk, const gchar *mount_point)
{
  char *words[] = { (char *) "wbmodel",
    (char *) "-ofsname=wbmodel,max_read=" G_STRINGIFY (1048576) };
  struct fuse_args args = FUSE_ARGS_INIT (G_N_ELEMENTS (words), words);
  struct fuse_session *session =
      fuse_session_new (&args, &operations, sizeof operations, disk);
  gboolean mounted =
      session != NULL && fuse_session_mount (session, mount_point) == 0;

  if (mounted) {
    serve_session (disk, session);
    fuse_session_unmount (session);
  } else {
    g_printerr ("wbmodel: cannot mount on %s\n", mount_point);
  }
  g_clear_pointer (&session, fuse_session_destroy);
  fuse_opt_free_args (&args);
  return mounted;
}
