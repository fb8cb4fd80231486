/* wbfilesink: what an error number means
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "system/wbcode.h"

#include <errno.h>

gboolean
wb_code_is_refusal (int code)
{
  return code == ENOSYS || code == EINVAL || code == ESPIPE
      || code == EOPNOTSUPP || code == ENOTSUP || wb_code_is_denial (code);
}

gboolean
wb_code_is_denial (int code)
{
  return code == EPERM || code == EACCES;
}

gboolean
wb_code_is_no_space (int code)
{
#ifdef EDQUOT
  if (code == EDQUOT)
    return TRUE;
#endif
  return code == ENOSPC;
}

gboolean
wb_code_is_to_be_tried (int code, guint *tries)
{
  return code == EINTR && (*tries)++ < 100;
}
