/* wbfilesink: the queue
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "policy/wbqueue.h"

#include <string.h>

struct _WbBlock
{
  WbBlock *next; /* among the spare ones */
  guint users;   /* items, and the queue while it is the tail */
  gsize used;
  guint8 data[WB_BLOCK_SIZE];
};

static WbItem *
item_at (const WbQueue *queue, guint index)
{
  return &queue->items[(queue->first + index) & (queue->capacity - 1)];
}

static void
make_room (WbQueue *queue)
{
  guint capacity = MAX (queue->capacity * 2, 64);
  WbItem *items;

  if (queue->n < queue->capacity)
    return;
  items = g_new (WbItem, capacity);
  for (guint i = 0; i < queue->n; i++)
    items[i] = *item_at (queue, i);
  g_free (queue->items);
  queue->items = items;
  queue->capacity = capacity;
  queue->first = 0;
}

static WbItem *
push_back (WbQueue *queue)
{
  WbItem *item;

  make_room (queue);
  item = item_at (queue, queue->n++);
  memset (item, 0, sizeof *item);
  return item;
}

static void
push_front (WbQueue *queue, const WbItem *item)
{
  make_room (queue);
  queue->first = (queue->first - 1) & (queue->capacity - 1);
  queue->n++;
  *item_at (queue, 0) = *item;
}

static void
pop_front (WbQueue *queue)
{
  queue->first = (queue->first + 1) & (queue->capacity - 1);
  queue->n--;
}

static void
block_unref (WbQueue *queue, WbBlock *block)
{
  if (block == NULL || --block->users > 0)
    return;
  block->next = queue->spare;
  queue->spare = block;
  queue->n_spare++;
}

static WbBlock *
block_new (WbQueue *queue)
{
  WbBlock *block = queue->spare;

  if (block != NULL) {
    queue->spare = block->next;
    queue->n_spare--;
  } else {
    block = g_malloc (sizeof *block);
  }
  block->users = 1;
  block->used = 0;
  return block;
}

static void
dispose_item (WbQueue *queue, const WbItem *item, GArray *owners)
{
  WbOwner owner = { item->owner, item->release };

  block_unref (queue, item->block);
  if (item->release != NULL)
    g_array_append_val (owners, owner);
}

void
wb_queue_give_back (WbQueue *queue)
{
  WbBlock *block = queue->spare;

  if (queue->n_spare <= WB_SPARE_BLOCKS)
    return;
  queue->spare = block->next;
  queue->n_spare--;
  g_free (block);
}

gboolean
wb_queue_is_empty (const WbQueue *queue)
{
  return queue->n == 0;
}

void
wb_queue_clear (WbQueue *queue, GArray *owners)
{
  for (; queue->n > 0; pop_front (queue))
    dispose_item (queue, item_at (queue, 0), owners);
  block_unref (queue, g_steal_pointer (&queue->tail));
  while (queue->spare != NULL) {
    WbBlock *block = queue->spare;

    queue->spare = block->next;
    g_free (block);
  }
  queue->n_spare = 0;
  g_clear_pointer (&queue->items, g_free);
  queue->capacity = queue->first = 0;
}

/* Whether `size` bytes for `offset` can simply lengthen the last item. */
static WbItem *
joinable (WbQueue *queue, guint64 offset)
{
  WbItem *last = queue->n > 0 ? item_at (queue, queue->n - 1) : NULL;

  if (last == NULL || last->block == NULL || last->block != queue->tail
      || last->ends_write || last->offset + last->size != offset
      || last->data + last->size != last->block->data + last->block->used)
    return NULL;
  return last;
}

void
wb_queue_copy (WbQueue *queue, guint64 offset, const guint8 *data, gsize size)
{
  while (size > 0) {
    WbItem *item;
    gsize part;

    if (queue->tail == NULL || queue->tail->used == WB_BLOCK_SIZE) {
      block_unref (queue, queue->tail);
      queue->tail = block_new (queue);
    }
    part = MIN (size, WB_BLOCK_SIZE - queue->tail->used);
    item = joinable (queue, offset);
    if (item == NULL) {
      item = push_back (queue);
      item->offset = offset;
      item->block = queue->tail;
      item->block->users++;
      item->data = item->block->data + item->block->used;
    }
    memcpy (item->block->data + item->block->used, data, part);
    item->block->used += part;
    item->size += part;
    offset += part;
    data += part;
    size -= part;
  }
}

WbBlock *
wb_queue_stage (WbQueue *queue)
{
  return block_new (queue);
}

void *
wb_block_data (WbBlock *block)
{
  return block->data;
}

void
wb_queue_add_block (WbQueue *queue, guint64 offset, WbBlock *block)
{
  WbItem *item = push_back (queue);

  block->used = WB_BLOCK_SIZE;
  item->offset = offset;
  item->data = block->data;
  item->size = WB_BLOCK_SIZE;
  item->block = block;
}

void
wb_queue_hold (WbQueue *queue, guint64 offset, const guint8 *data, gsize size,
    gpointer owner, GDestroyNotify release)
{
  WbItem *item = push_back (queue);

  item->offset = offset;
  item->data = data;
  item->size = size;
  item->owner = owner;
  item->release = release;
}

void
wb_queue_end_write (WbQueue *queue)
{
  if (queue->n > 0)
    item_at (queue, queue->n - 1)->ends_write = TRUE;
}

void
wb_queue_sync (WbQueue *queue, guint64 token, guint kind)
{
  WbItem *item = push_back (queue);

  item->token = token;
  item->kind = kind;
}

const WbItem *
wb_queue_peek (const WbQueue *queue)
{
  return queue->n > 0 ? item_at (queue, 0) : NULL;
}

const WbItem *
wb_queue_last (const WbQueue *queue)
{
  return queue->n > 0 ? item_at (queue, queue->n - 1) : NULL;
}

WbItem
wb_queue_pop_sync (WbQueue *queue)
{
  WbItem item = *item_at (queue, 0);

  pop_front (queue);
  return item;
}

static void
take (WbQueue *queue, WbBatchRun *run, gsize most, gboolean whole)
{
  run->n = 0;
  run->bytes = 0;
  run->offset = item_at (queue, 0)->offset;
  while (queue->n > 0 && run->n < WB_BATCH_VECTORS && run->bytes < most) {
    const WbItem *item = item_at (queue, 0);

    if (item->size == 0 || item->offset != run->offset + run->bytes
        || (whole && run->n > 0 && item->size > most - run->bytes))
      break;
    run->items[run->n] = *item;
    run->vectors[run->n].data = (void *) item->data;
    run->vectors[run->n].size =
        whole ? item->size : MIN (item->size, most - run->bytes);
    run->bytes += run->vectors[run->n].size;
    run->n++;
    pop_front (queue);
    if (run->items[run->n - 1].ends_write)
      break;
  }
}

void
wb_queue_take (WbQueue *queue, WbBatchRun *run, gsize most)
{
  take (queue, run, most, FALSE);
}

void
wb_queue_take_whole (WbQueue *queue, WbBatchRun *run, gsize most)
{
  take (queue, run, most, TRUE);
}

gsize
wb_batch_run_size (const WbBatchRun *run)
{
  gsize size = 0;

  for (guint i = 0; i < run->n; i++)
    size += run->items[i].size;
  return size;
}

void
wb_queue_finish (WbQueue *queue, WbBatchRun *run, gsize written,
    gboolean discard, GArray *owners)
{
  guint done = 0;

  while (done < run->n && (discard || run->items[done].size <= written)) {
    written -= MIN (written, run->items[done].size);
    dispose_item (queue, &run->items[done], owners);
    done++;
  }
  for (guint i = run->n; i > done; i--) {
    WbItem *item = &run->items[i - 1];

    if (i - 1 == done) {
      item->data += written;
      item->offset += written;
      item->size -= written;
    }
    push_front (queue, item);
  }
  run->n = 0;
}

void
wb_owners_release (GArray *owners)
{
  for (guint i = 0; i < owners->len; i++) {
    WbOwner *owner = &g_array_index (owners, WbOwner, i);

    owner->release (owner->owner);
  }
  g_array_set_size (owners, 0);
}
