/* One output file on the table of calls that fail, shorten or hang, which is what
 * the tests of a file have in common. It is small, is patched as a muxer does it,
 * and gets more space than it needs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "faultsys.h"
#include "file/wbfile.h"

G_BEGIN_DECLS

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define PIECE (64 * 1024)
#define TOTAL (6 * MIB)
#define PATCH_EVERY (MIB / 2)
/* Where a timeout is what is tested. */
#define TIMEOUT_US (300 * 1000)

typedef struct
{
  FaultFile output;
  guint8 *expected;
  guint held, released;
} FileRig;

/* How a run of the whole went. */
typedef struct
{
  WbStatus open, push, sync, close;
  WbSyncResult result;
  WbError error;
  WbStats stats;
  WbStall stall;
} FileRigOutcome;

/* The fixture: `g_test_add ("/faults/...", FileRig, NULL, ...)`. */
void file_rig_set_up (FileRig *f, gconstpointer data);
void file_rig_tear_down (FileRig *f, gconstpointer data);

void file_rig_configure (FileRig *f, WbFileConfig *config);
WbStatus file_rig_push (
    FileRig *f, WbFile *file, guint64 at, gsize size, WbStall *stall);
/* Opens, and pushes the first piece. */
WbFile *file_rig_open (FileRig *f, const WbFileConfig *config);
/* Pieces, and a patch of 8 bytes behind every few of them. */
WbStatus file_rig_push_all (FileRig *f, WbFile *file, WbStall *stall);
/* The whole, from open to close. */
FileRigOutcome file_rig_run (FileRig *f, const WbFileConfig *config);

void file_rig_assert_content (FileRig *f);
/* Threads that were left behind have gone, and took everything with them. */
void file_rig_assert_nothing_left (FileRig *f);

G_END_DECLS
