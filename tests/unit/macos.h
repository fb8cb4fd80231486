/* What macOS's <fcntl.h> has and this system's has not, with macOS's numbers, so
 * that what is written for it is compiled and played.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <fcntl.h>

#ifndef F_FULLFSYNC
#define F_FULLFSYNC 51
#endif
#ifndef F_SETNOSIGPIPE
#define F_SETNOSIGPIPE 73
#endif
