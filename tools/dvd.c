/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A DVD, as libdvdread reads it (and under its licence).
 *
 * A title is a list of chapters, which are programs of program chains; these have
 * cells, which are runs of sectors. Of an angle block one cell is taken. In a cell
 * a navigation pack before each half second of stream tells where the next one is,
 * and from when to when it is shown: where that does not go on with the one
 * before, the clock has begun anew, and a new part begins.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "disc-private.h"

#include <dvdread/dvd_reader.h>
#include <dvdread/ifo_read.h>
#include <dvdread/nav_read.h>
#include <string.h>

#define CLOCK 90000
/* libdvdread has a name for the other one only. */
#define PCI_START_BYTE 45
#define MAX_BLOCKS 1024
/* What is shown of half a second is never longer. */
#define MAX_SHOWN (3 * CLOCK)

typedef struct
{
  guint32 first;
  guint32 last;
  gint64 duration; /* 90 kHz */
  guint chapter;   /* from 1 */
} Cell;

typedef struct
{
  dvd_reader_t *dvd;
  Disc *disc;
  ifo_handle_t *vmg;
  ifo_handle_t *sets[100];
  dvd_file_t *file;
  GArray *cells; /* Cell, of what is read */
  guint cell;
  guint32 sector; /* of the next navigation pack */
  guint last_chapter;
  gint64 shown; /* 90 kHz: where the last half second ended */
  gint64 ended; /* the same, as its pack has it; -1: none */
  guint8 *data; /* of the present half second */
  gsize size;
  gsize used;
  gboolean is_checked; /* for encryption */
} Dvd;

static void
dvd_close (gpointer data)
{
  Dvd *self = data;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (self->sets); i++) {
    if (self->sets[i])
      ifoClose (self->sets[i]);
  }
  if (self->file)
    DVDCloseFile (self->file);
  if (self->vmg)
    ifoClose (self->vmg);
  if (self->dvd)
    DVDClose (self->dvd);
  g_array_unref (self->cells);
  g_free (self->data);
  g_free (self);
}

/* Each table by itself: where one is damaged, libdvdread's ifoOpen() frees what it
 * has freed already (6.1.3). What is not there is NULL; it is lost to free(). */
static ifo_handle_t *
open_vmg (dvd_reader_t *dvd)
{
  ifo_handle_t *vmg = ifoOpenVMGI (dvd);

  if (vmg && !ifoRead_TT_SRPT (vmg))
    vmg->tt_srpt = NULL;
  return vmg;
}

static ifo_handle_t *
open_set (dvd_reader_t *dvd, guint number)
{
  ifo_handle_t *set = ifoOpenVTSI (dvd, number);

  if (set && !ifoRead_VTS_PTT_SRPT (set))
    set->vts_ptt_srpt = NULL;
  if (set && !ifoRead_PGCIT (set))
    set->vts_pgcit = NULL;
  return set;
}

static ifo_handle_t *
get_set (Dvd *self, guint number)
{
  if (number == 0 || number >= G_N_ELEMENTS (self->sets))
    return NULL;
  if (!self->sets[number])
    self->sets[number] = open_set (self->dvd, number);
  return self->sets[number];
}

/* --- cells ------------------------------------------------------------------------- */

static guint
from_bcd (guint8 value)
{
  return (value >> 4) * 10 + (value & 0x0f);
}

static gint64
get_time (const dvd_time_t *time)
{
  gint64 seconds = from_bcd (time->hour) * 3600 + from_bcd (time->minute) * 60
      + from_bcd (time->second);
  guint frames = from_bcd (time->frame_u & 0x3f);
  gint64 frame = time->frame_u >> 6 == 1 ? CLOCK / 25 : 3003;

  return seconds * CLOCK + frames * frame;
}

/* Whether the cell belongs to another angle. */
static gboolean
is_other_angle (const pgc_t *pgc, guint index, guint angle)
{
  guint first = index;

  if (pgc->cell_playback[index].block_type != BLOCK_TYPE_ANGLE_BLOCK)
    return FALSE;
  while (first > 0
      && pgc->cell_playback[first].block_mode != BLOCK_MODE_FIRST_CELL)
    first--;
  return index - first + 1 != angle;
}

/* The cells of one program chain, from the program that a chapter begins with. */
static void
add_chain (GArray *cells, const pgc_t *pgc, const ttu_t *title, guint chapter,
    guint angle)
{
  const guint16 chain = title->ptt[chapter - 1].pgcn;
  guint program = title->ptt[chapter - 1].pgn;
  guint i;

  for (i = pgc->program_map[program - 1]; i <= pgc->nr_of_cells; i++) {
    const cell_playback_t *from = &pgc->cell_playback[i - 1];
    Cell cell = { from->first_sector, from->last_sector,
      get_time (&from->playback_time), chapter };

    /* The next chapter, if it begins here. */
    while (chapter < title->nr_of_ptts && title->ptt[chapter].pgcn == chain
        && title->ptt[chapter].pgn <= pgc->nr_of_programs
        && title->ptt[chapter].pgn > 0
        && pgc->program_map[title->ptt[chapter].pgn - 1] == i)
      cell.chapter = ++chapter;
    if (!is_other_angle (pgc, i - 1, angle) && cell.last >= cell.first)
      g_array_append_val (cells, cell);
  }
}

static const pgc_t *
get_chain (const ifo_handle_t *set, const ttu_t *title, guint chapter)
{
  const guint chain = title->ptt[chapter - 1].pgcn;
  const guint program = title->ptt[chapter - 1].pgn;
  const pgc_t *pgc;

  if (chain == 0 || chain > set->vts_pgcit->nr_of_pgci_srp)
    return NULL;
  pgc = set->vts_pgcit->pgci_srp[chain - 1].pgc;
  if (!pgc || !pgc->cell_playback || !pgc->program_map || program == 0
      || program > pgc->nr_of_programs || pgc->program_map[program - 1] == 0)
    return NULL;
  return pgc;
}

static const ttu_t *
get_title (const ifo_handle_t *set, guint number)
{
  if (!set || !set->vts_ptt_srpt || !set->vts_pgcit || number == 0
      || number > set->vts_ptt_srpt->nr_of_srpts)
    return NULL;
  return &set->vts_ptt_srpt->title[number - 1];
}

/* The cells of a title, in order. */
static void
collect_cells (
    GArray *cells, const ifo_handle_t *set, const ttu_t *title, guint angle)
{
  guint i;

  g_array_set_size (cells, 0);
  for (i = 1; i <= title->nr_of_ptts; i++) {
    const pgc_t *pgc = get_chain (set, title, i);

    if (pgc && (i == 1 || title->ptt[i - 2].pgcn != title->ptt[i - 1].pgcn))
      add_chain (cells, pgc, title, i, angle);
  }
}

/* --- titles ------------------------------------------------------------------------- */

static void
set_language (DiscTrack *track, guint16 code)
{
  if (g_ascii_isalpha (code >> 8) && g_ascii_isalpha (code & 0xff)) {
    track->language[0] = code >> 8;
    track->language[1] = code & 0xff;
  }
}

static void
add_audio (DiscTitle *title, const audio_attr_t *attr, guint stream)
{
  static const struct
  {
    gint base;
    enum AVCodecID codec;
  } formats[] = { { 0x80, AV_CODEC_ID_AC3 }, { 0, AV_CODEC_ID_NONE },
    { 0x1c0, AV_CODEC_ID_MP2 }, { 0x1c0, AV_CODEC_ID_MP2 },
    { 0xa0, AV_CODEC_ID_PCM_DVD }, { 0, AV_CODEC_ID_NONE },
    { 0x88, AV_CODEC_ID_DTS }, { 0, AV_CODEC_ID_NONE } };
  static const gint dispositions[] = { 0, 0, AV_DISPOSITION_VISUAL_IMPAIRED,
    AV_DISPOSITION_COMMENT, AV_DISPOSITION_COMMENT };
  DiscTrack *track = disc_title_add_track (title, AVMEDIA_TYPE_AUDIO,
      formats[attr->audio_format].base + stream,
      formats[attr->audio_format].codec);

  track->channels = attr->channels + 1;
  set_language (track, attr->lang_code);
  if (attr->code_extension < G_N_ELEMENTS (dispositions))
    track->disposition = dispositions[attr->code_extension];
}

/* As the .idx file of a VobSub has it, which Matroska took over. */
static gchar *
describe_palette (const pgc_t *pgc, gint width, gint height)
{
  GString *text = g_string_new (NULL);
  guint i;

  g_string_append_printf (text, "size: %dx%d\npalette: ", width, height);
  for (i = 0; i < 16; i++) {
    gdouble y = 1.164 * ((gint) (pgc->palette[i] >> 16 & 0xff) - 16);
    gint cr = (gint) (pgc->palette[i] >> 8 & 0xff) - 128;
    gint cb = (gint) (pgc->palette[i] & 0xff) - 128;
    gint red = y + 1.596 * cr + 0.5;
    gint green = y - 0.813 * cr - 0.391 * cb + 0.5;
    gint blue = y + 2.018 * cb + 0.5;

    g_string_append_printf (text, "%s%02x%02x%02x", i ? ", " : "",
        CLAMP (red, 0, 255), CLAMP (green, 0, 255), CLAMP (blue, 0, 255));
  }
  g_string_append_c (text, '\n');
  return g_string_free (text, FALSE);
}

static gint
get_subtitle_flags (guint8 extension)
{
  switch (extension) {
    case 5:
    case 6:
    case 7:
      return AV_DISPOSITION_HEARING_IMPAIRED;
    case 9:
      return AV_DISPOSITION_FORCED;
    case 13:
    case 14:
    case 15:
      return AV_DISPOSITION_COMMENT;
    default:
      return 0;
  }
}

static gboolean
has_track (const DiscTitle *title, gint id)
{
  guint i;

  for (i = 0; i < title->tracks->len; i++) {
    if (((const DiscTrack *) g_ptr_array_index (title->tracks, i))->id == id)
      return TRUE;
  }
  return FALSE;
}

/* A wide film may have its subtitles a second time, for the letterboxed picture. */
static void
add_subtitle (
    DiscTitle *title, const ifo_handle_t *set, const pgc_t *pgc, guint number)
{
  const video_attr_t *video = &set->vtsi_mat->vts_video_attr;
  const subp_attr_t *attr = &set->vtsi_mat->vts_subp_attr[number];
  static const gchar *const names[] = { NULL, NULL, "letterbox",
    "pan and scan" };
  gboolean is_wide = video->display_aspect_ratio == 3;
  guint32 control = pgc->subp_control[number];
  gint width = video->picture_size < 2 ? 720 - 16 * video->picture_size : 352;
  gint height = video->video_format == 1 ? 576 : 480;
  guint i;

  for (i = is_wide; i < (is_wide ? 4 : 1); i++) {
    gint id = 0x20 + (control >> (24 - 8 * i) & 0x1f);
    DiscTrack *track;

    if (has_track (title, id))
      continue;
    track = disc_title_add_track (
        title, AVMEDIA_TYPE_SUBTITLE, id, AV_CODEC_ID_DVD_SUBTITLE);
    track->name = names[i];
    track->disposition = get_subtitle_flags (attr->code_extension);
    set_language (track, attr->lang_code);
    track->width = width;
    track->height = video->picture_size == 3 ? height / 2 : height;
    track->extradata = describe_palette (pgc, width, track->height);
  }
}

static void
add_tracks (DiscTitle *title, const ifo_handle_t *set, const pgc_t *pgc)
{
  const vtsi_mat_t *mat = set->vtsi_mat;
  guint i;

  disc_title_add_track (title, AVMEDIA_TYPE_VIDEO, 0x1e0,
      mat->vts_video_attr.mpeg_version == 0 ? AV_CODEC_ID_MPEG1VIDEO
                                            : AV_CODEC_ID_MPEG2VIDEO);
  for (i = 0; i < MIN (mat->nr_of_vts_audio_streams, 8); i++) {
    if (pgc->audio_control[i] & 0x8000)
      add_audio (
          title, &mat->vts_audio_attr[i], pgc->audio_control[i] >> 8 & 7);
  }
  for (i = 0; i < MIN (mat->nr_of_vts_subp_streams, 32); i++) {
    if (pgc->subp_control[i] & 0x80000000)
      add_subtitle (title, set, pgc, i);
  }
}

static void
add_times (DiscTitle *title, const GArray *cells)
{
  gint64 time = 0;
  guint i;

  for (i = 0; i < cells->len; i++) {
    const Cell *cell = &g_array_index (cells, Cell, i);
    gint64 begin = av_rescale (time, AV_TIME_BASE, CLOCK);

    while (title->chapters->len < cell->chapter)
      g_array_append_val (title->chapters, begin);
    title->size += (guint64) (cell->last - cell->first + 1) * DVD_VIDEO_LB_LEN;
    time += cell->duration;
  }
  title->duration = av_rescale (time, AV_TIME_BASE, CLOCK);
}

static void
add_title (Dvd *self, guint number)
{
  const title_info_t *info = &self->vmg->tt_srpt->title[number - 1];
  ifo_handle_t *set = get_set (self, info->title_set_nr);
  const ttu_t *parts = get_title (set, info->vts_ttn);
  const pgc_t *pgc =
      parts && parts->nr_of_ptts > 0 ? get_chain (set, parts, 1) : NULL;
  DiscTitle *title;

  if (!pgc || !set->vtsi_mat)
    return;
  collect_cells (self->cells, set, parts, 1);
  if (self->cells->len == 0)
    return;
  title = disc_title_new (
      number, g_strdup_printf ("title set %u", info->title_set_nr));
  title->n_angles = MAX (info->nr_of_angles, 1);
  add_times (title, self->cells);
  add_tracks (title, set, pgc);
  g_ptr_array_add (self->disc->titles, title);
}

/* The longest, and of several the first. */
static void
choose_main (Dvd *self)
{
  DiscTitle *main = NULL;
  guint i;

  for (i = 0; i < self->disc->titles->len; i++) {
    DiscTitle *title = g_ptr_array_index (self->disc->titles, i);

    if (!main || title->duration > main->duration)
      main = title;
  }
  if (main)
    main->is_main = TRUE;
}

static void
no_log (void *data, dvd_logger_level_t level, const char *format, va_list args)
{
}

static gpointer
dvd_open (const gchar *path, Disc *disc, GError **error)
{
  static const dvd_logger_cb logger = { no_log };
  Dvd *self = g_new0 (Dvd, 1);
  guint i;

  self->disc = disc;
  self->cells = g_array_new (FALSE, FALSE, sizeof (Cell));
  self->dvd = DVDOpen2 (NULL, &logger, path);
  self->vmg = self->dvd ? open_vmg (self->dvd) : NULL;
  if (!self->vmg || !self->vmg->tt_srpt) {
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED,
        "libdvdread finds no DVD in it (VIDEO_TS.IFO)");
    dvd_close (self);
    return NULL;
  }
  for (i = 1; i <= self->vmg->tt_srpt->nr_of_srpts; i++)
    add_title (self, i);
  choose_main (self);
  return self;
}

/* --- reading ------------------------------------------------------------------------- */

static gboolean
dvd_start (gpointer data, const DiscTitle *title, guint angle, guint first,
    guint last, GError **error)
{
  Dvd *self = data;
  const title_info_t *info = &self->vmg->tt_srpt->title[title->number - 1];
  ifo_handle_t *set = get_set (self, info->title_set_nr);

  if (self->file)
    DVDCloseFile (self->file);
  self->file = DVDOpenFile (self->dvd, info->title_set_nr, DVD_READ_TITLE_VOBS);
  if (!self->file) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED,
        "libdvdread cannot open the films of title set %u", info->title_set_nr);
    return FALSE;
  }
  if (!self->data)
    self->data = g_malloc (MAX_BLOCKS * DVD_VIDEO_LB_LEN);
  collect_cells (self->cells, set, get_title (set, info->vts_ttn), angle);
  self->cell = 0;
  self->shown = 0;
  while (self->cell < self->cells->len
      && g_array_index (self->cells, Cell, self->cell).chapter < first)
    self->shown += g_array_index (self->cells, Cell, self->cell++).duration;
  self->last_chapter = last;
  self->sector = 0;
  self->ended = -1;
  self->size = self->used = 0;
  self->is_checked = FALSE;
  return TRUE;
}

/* What is shown of this half second, in the title's time. */
static void
take_clock (Dvd *self, const pci_t *pci)
{
  gint64 begin = pci->pci_gi.vobu_s_ptm, end = pci->pci_gi.vobu_e_ptm;

  if (begin != self->ended)
    disc_add_part (self->disc, self->shown - begin, G_MININT64, G_MAXINT64);
  self->ended = end;
  if (end > begin && end - begin < MAX_SHOWN)
    self->shown += end - begin;
}

/* The first packs that hold a stream say whether it is scrambled. */
static gboolean
is_scrambled (Dvd *self)
{
  gsize at;

  for (at = 0; !self->is_checked && at < self->size; at += DVD_VIDEO_LB_LEN) {
    const guint8 *pack = self->data + at;

    if (memcmp (pack + 14, "\0\0\1", 3) == 0 && pack[17] >= 0xbd
        && pack[17] != 0xbe && pack[17] != 0xbf && (pack[20] & 0x30))
      return TRUE;
  }
  self->is_checked = TRUE;
  return FALSE;
}

/* The next half second of @cell. 0: it is at its end. */
static gint
read_unit (Dvd *self, const Cell *cell)
{
  guint32 sector = MAX (self->sector, cell->first);
  guint n;
  pci_t pci;
  dsi_t dsi;

  if (sector > cell->last)
    return 0;
  if (DVDReadBlocks (self->file, sector, 1, self->data) != 1)
    return AVERROR (EIO);
  navRead_PCI (&pci, self->data + PCI_START_BYTE);
  navRead_DSI (&dsi, self->data + DSI_START_BYTE);
  if (memcmp (self->data + 0x26, "\0\0\1\xbf", 4) != 0
      || dsi.dsi_gi.nv_pck_lbn != sector || dsi.dsi_gi.vobu_ea >= MAX_BLOCKS)
    return AVERROR_INVALIDDATA;
  n = dsi.dsi_gi.vobu_ea;
  self->sector = sector + n + 1;
  if (dsi.vobu_sri.next_vobu != SRI_END_OF_CELL
      && (dsi.vobu_sri.next_vobu & 0x3fffffff) > n)
    self->sector = sector + (dsi.vobu_sri.next_vobu & 0x3fffffff);
  else if (dsi.vobu_sri.next_vobu == SRI_END_OF_CELL)
    self->sector = cell->last + 1;
  if (n > 0
      && DVDReadBlocks (self->file, sector + 1, n, self->data) != (gssize) n)
    return AVERROR (EIO);
  take_clock (self, &pci);
  self->used = 0;
  self->size = (gsize) n * DVD_VIDEO_LB_LEN;
  if (!is_scrambled (self))
    return 1;
  self->size = 0;
  return AVERROR (EACCES);
}

static gint
read_next (Dvd *self)
{
  while (self->cell < self->cells->len) {
    const Cell *cell = &g_array_index (self->cells, Cell, self->cell);
    gint result;

    if (cell->chapter > self->last_chapter)
      return 0;
    result = read_unit (self, cell);
    if (result != 0)
      return result;
    self->cell++;
    self->sector = 0;
  }
  return 0;
}

static gint
dvd_read (gpointer data, guint8 *to, gint size)
{
  Dvd *self = data;
  gint n;

  while (self->used == self->size) {
    gint result = read_next (self);

    if (result <= 0)
      return result;
  }
  n = MIN ((gsize) size, self->size - self->used);
  memcpy (to, self->data + self->used, n);
  self->used += n;
  return n;
}

const DiscReader disc_dvd_reader = { "mpeg", dvd_open, dvd_start, dvd_read,
  dvd_close };
