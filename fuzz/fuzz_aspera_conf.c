// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as aspera.conf: read or refused, and every rule that is read has a name.
#include "base/assert.h"
#include "sshdcfg/asperaconf.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct lh_aspera_conf conf;

    if (lh_aspera_conf_parse((const char *)data, len, &conf) != 0)
        return 0;
    LH_ASSERT(conf.docroot != NULL && conf.fingerprint != NULL && conf.key_path != NULL);
    LH_ASSERT(conf.count <= LH_ASPERA_RULES_MAX);
    for (size_t i = 0; i < conf.count; i++)
        LH_ASSERT(conf.rules[i].name != NULL && conf.rules[i].docroot != NULL);
    lh_aspera_conf_fini(&conf);
    return 0;
}
