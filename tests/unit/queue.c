/* The queue: what goes in comes out in order, joined where it may be, and every
 * owner is released exactly once.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wbqueue.h"

#include <string.h>

typedef struct
{
  WbQueue queue;
  WbBatchRun run;
  GArray *owners;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->owners = g_array_new (FALSE, FALSE, sizeof (WbOwner));
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  wb_queue_finish (&f->queue, &f->run, 0, TRUE, f->owners);
  wb_queue_clear (&f->queue, f->owners);
  wb_owners_release (f->owners);
  g_array_free (f->owners, TRUE);
}

static void
count_release (gpointer owner)
{
  ++*(guint *) owner;
}

static void
test_small_pieces_become_one (Fixture *f, gconstpointer data)
{
  for (guint64 i = 0; i < 1000; i++) {
    guint8 piece[188];

    memset (piece, (int) i, sizeof piece);
    wb_queue_copy (&f->queue, i * 188, piece, sizeof piece);
  }
  wb_queue_take (&f->queue, &f->run, 1 << 20);
  g_assert_cmpuint (f->run.n, ==, 1);
  g_assert_cmpuint (f->run.bytes, ==, 188000);
  for (guint64 i = 0; i < 188000; i++)
    g_assert_cmpuint (f->run.items[0].data[i], ==, (guint8) (i / 188));
  wb_queue_finish (&f->queue, &f->run, f->run.bytes, FALSE, f->owners);
  g_assert_true (wb_queue_is_empty (&f->queue));
}

static void
test_seek_ends_a_run (Fixture *f, gconstpointer data)
{
  wb_queue_copy (&f->queue, 100, (const guint8 *) "abcd", 4);
  wb_queue_copy (&f->queue, 50, (const guint8 *) "ef", 2);
  wb_queue_copy (&f->queue, 104, (const guint8 *) "gh", 2);
  wb_queue_take (&f->queue, &f->run, 1 << 20);
  g_assert_cmpuint (f->run.offset, ==, 100);
  g_assert_cmpuint (f->run.bytes, ==, 4);
  wb_queue_finish (&f->queue, &f->run, 4, FALSE, f->owners);
  wb_queue_take (&f->queue, &f->run, 1 << 20);
  g_assert_cmpuint (f->run.offset, ==, 50);
  wb_queue_finish (&f->queue, &f->run, 2, FALSE, f->owners);
  wb_queue_take (&f->queue, &f->run, 1 << 20);
  g_assert_cmpuint (f->run.offset, ==, 104);
}

static void
test_short_write_goes_on (Fixture *f, gconstpointer data)
{
  static const guint8 bytes[100];
  guint released = 0;

  wb_queue_hold (&f->queue, 0, bytes, 60, &released, count_release);
  wb_queue_hold (&f->queue, 60, bytes, 40, &released, count_release);
  wb_queue_take (&f->queue, &f->run, 80);
  g_assert_cmpuint (f->run.bytes, ==, 80);
  wb_queue_finish (&f->queue, &f->run, 30, FALSE, f->owners);
  wb_owners_release (f->owners);
  g_assert_cmpuint (released, ==, 0);
  wb_queue_take (&f->queue, &f->run, 1000);
  g_assert_cmpuint (f->run.offset, ==, 30);
  g_assert_cmpuint (f->run.bytes, ==, 70);
  wb_queue_finish (&f->queue, &f->run, 70, FALSE, f->owners);
  wb_owners_release (f->owners);
  g_assert_cmpuint (released, ==, 2);
}

static void
test_discard_releases_once (Fixture *f, gconstpointer data)
{
  static const guint8 bytes[100];
  guint released = 0;

  for (guint i = 0; i < 5; i++)
    wb_queue_hold (&f->queue, i * 100, bytes, 100, &released, count_release);
  wb_queue_take (&f->queue, &f->run, 150);
  wb_queue_clear (&f->queue, f->owners);
  wb_queue_finish (&f->queue, &f->run, 20, TRUE, f->owners);
  wb_owners_release (f->owners);
  g_assert_cmpuint (released, ==, 5);
  g_assert_true (wb_queue_is_empty (&f->queue));
}

static void
test_ended_writes_stay_apart (Fixture *f, gconstpointer data)
{
  wb_queue_copy (&f->queue, 0, (const guint8 *) "ab", 2);
  wb_queue_end_write (&f->queue);
  wb_queue_copy (&f->queue, 2, (const guint8 *) "cd", 2);
  wb_queue_end_write (&f->queue);
  wb_queue_take (&f->queue, &f->run, 1000);
  g_assert_cmpuint (f->run.bytes, ==, 2);
}

static void
test_sync_keeps_its_place (Fixture *f, gconstpointer data)
{
  WbItem sync;

  wb_queue_copy (&f->queue, 0, (const guint8 *) "ab", 2);
  wb_queue_sync (&f->queue, 7, 3);
  wb_queue_copy (&f->queue, 2, (const guint8 *) "cd", 2);
  wb_queue_take (&f->queue, &f->run, 1000);
  g_assert_cmpuint (f->run.bytes, ==, 2);
  wb_queue_finish (&f->queue, &f->run, 2, FALSE, f->owners);
  g_assert_cmpuint (wb_queue_peek (&f->queue)->size, ==, 0);
  sync = wb_queue_pop_sync (&f->queue);
  g_assert_cmpuint (sync.token, ==, 7);
  g_assert_cmpuint (sync.kind, ==, 3);
  wb_queue_take (&f->queue, &f->run, 1000);
  g_assert_cmpuint (f->run.offset, ==, 2);
}

/* Random pieces, taken in random runs with random short writes, against the
 * bytes they should make. */
static void
test_random_order_and_content (Fixture *f, gconstpointer data)
{
  enum
  {
    TOTAL = 8 << 20
  };
  guint8 *expected = g_malloc (TOTAL), *written = g_malloc0 (TOTAL);
  guint64 pushed = 0, taken = 0;
  guint held = 0, released = 0;

  for (gsize i = 0; i < TOTAL; i++)
    expected[i] = (guint8) g_test_rand_int ();
  while (taken < TOTAL) {
    gsize size = (gsize) g_test_rand_int_range (1, 60000);

    size = MIN (size, TOTAL - pushed);
    if (size > 0 && pushed - taken < (1 << 20)) {
      if (g_test_rand_bit ()) {
        wb_queue_copy (&f->queue, pushed, expected + pushed, size);
      } else {
        wb_queue_hold (&f->queue, pushed, expected + pushed, size, &released,
            count_release);
        held++;
      }
      pushed += size;
      continue;
    }
    wb_queue_take (
        &f->queue, &f->run, (gsize) g_test_rand_int_range (1, 300000));
    g_assert_cmpuint (f->run.offset, ==, taken);
    size = (gsize) g_test_rand_int_range (0, (gint32) f->run.bytes + 1);
    for (guint i = 0, done = 0; i < f->run.n && done < size; i++) {
      gsize part = MIN (f->run.vectors[i].size, size - done);

      memcpy (written + taken + done, f->run.vectors[i].data, part);
      done += part;
    }
    wb_queue_finish (&f->queue, &f->run, size, FALSE, f->owners);
    taken += size;
  }
  wb_owners_release (f->owners);
  g_assert_cmpuint (released, ==, held);
  g_assert_cmpint (memcmp (expected, written, TOTAL), ==, 0);
  g_free (expected);
  g_free (written);
}

int
main (int argc, char **argv)
{
#define ADD(name, function)                                                    \
  g_test_add ("/queue/" name, Fixture, NULL, set_up, function, tear_down)
  g_test_init (&argc, &argv, NULL);
  ADD ("small-pieces-become-one", test_small_pieces_become_one);
  ADD ("seek-ends-a-run", test_seek_ends_a_run);
  ADD ("short-write-goes-on", test_short_write_goes_on);
  ADD ("discard-releases-once", test_discard_releases_once);
  ADD ("ended-writes-stay-apart", test_ended_writes_stay_apart);
  ADD ("sync-keeps-its-place", test_sync_keeps_its_place);
  ADD ("random-order-and-content", test_random_order_and_content);
  return g_test_run ();
}
