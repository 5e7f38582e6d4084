/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target of the device-tree reader: no input makes it touch a byte
 * outside the blob (ASan watches), and where libfdt accepts the blob as whole
 * both find the same machine.  The blobs of dts/ are the seeds.
 */
#include "../unit/devicetree_oracle.h"

#define BOOT_HART 1

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    memset(&devicetree, 0, sizeof(devicetree));
    const char *error = devicetree_read(data, bytes, BOOT_HART);
    if (!oracle_applies(data, bytes)) return 0;
    struct oracle oracle;
    bool accepted = oracle_read(data, BOOT_HART, &oracle);
    if (accepted != (error == NULL)) {
        fprintf(stderr, "oracle %s, reader: %s\n", accepted ? "accepts" : "refuses",
                error == NULL ? "accepts" : error);
        abort();
    }
    const char *difference = accepted ? oracle_difference(&devicetree, &oracle.tree) : NULL;
    if (difference != NULL) {
        fprintf(stderr, "the two differ in: %s\n", difference);
        abort();
    }
    return 0;
}
