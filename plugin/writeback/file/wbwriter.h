/* wbfilesink: one output file: the writer
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The I/O thread's room: what was handed over becomes writes, in order and in
 * batches, each after its space is reserved and when it fits the window; and
 * after a flush the file begins again. Every function is the I/O thread's.
 *
 * After each wait and each call it looks whether the file was abandoned, a flush
 * has begun a new generation, or an error was latched.
 */
#pragma once

#include "file/wbintake.h"
#include "file/wbspace.h"
#include "file/wbsyncer.h"

G_BEGIN_DECLS

typedef struct _WbWriter WbWriter;

/* The rooms that it is made of stay the caller's. */
typedef struct
{
  WbCore *core;
  WbTarget *target;
  WbShare *share;
  WbRetirer *retirer;
  WbSyncer *syncer;
  WbSpace *space;
  WbIntake *intake;
} WbWriterRooms;

WbWriter *wb_writer_new (
    const WbWriterRooms *rooms, const WbFileConfig *config);
void wb_writer_free (WbWriter *writer);

/* The target is open. */
void wb_writer_set_up (WbWriter *writer) WB_REQUIRES (wb_io_thread);
/* Writes one batch of what is at the head. */
void wb_writer_write (WbWriter *writer) WB_REQUIRES (wb_locked, wb_io_thread);
/* FLUSH_STOP: the queue is gone already; what was written goes too. */
void wb_writer_restart (WbWriter *writer) WB_REQUIRES (wb_locked, wb_io_thread);

/* Bytes ever written. */
guint64 wb_writer_bytes_written (const WbWriter *writer)
    WB_REQUIRES (wb_locked);
/* One past the highest byte written; for a target without positions, the bytes. */
guint64 wb_writer_high_water (const WbWriter *writer) WB_REQUIRES (wb_locked);
/* What the file's size is, or will be, as far as it is this writer's doing. */
guint64 wb_writer_final_size (const WbWriter *writer) WB_REQUIRES (wb_locked);

G_END_DECLS
