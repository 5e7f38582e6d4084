# SPDX-License-Identifier: MIT
#
# Toolchain: Debian's bare-metal RISC-V gcc.
#
# -misa-spec=2.2 lets csrr and fence.i assemble while -march stays rv64imac.
# Naming zicsr in -march instead makes gcc choose another multilib (lp64d),
# and then nothing links with picolibc.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR riscv64)
set(CMAKE_C_COMPILER /usr/bin/riscv64-unknown-elf-gcc)
set(CMAKE_ASM_COMPILER /usr/bin/riscv64-unknown-elf-gcc)
set(CMAKE_OBJCOPY /usr/bin/riscv64-unknown-elf-objcopy CACHE FILEPATH "objcopy")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

set(EXO_MACHINE_FLAGS "-misa-spec=2.2 -march=rv64imac -mabi=lp64 -mcmodel=medany")
set(CMAKE_C_FLAGS_INIT "${EXO_MACHINE_FLAGS} -O2 -g")
set(CMAKE_ASM_FLAGS_INIT "${EXO_MACHINE_FLAGS} -g")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static -Wl,--build-id=none -Wl,-z,max-page-size=4096")

# CMake knows no link groups for a bare machine; GNU ld has them.
set(CMAKE_C_LINK_GROUP_USING_RESCAN "LINKER:--start-group" "LINKER:--end-group")
set(CMAKE_C_LINK_GROUP_USING_RESCAN_SUPPORTED TRUE)

# In an installed package, where find_package(exo) finds it.
if(EXISTS "${CMAKE_CURRENT_LIST_DIR}/exoConfig.cmake")
    get_filename_component(exo_package "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
    list(APPEND CMAKE_PREFIX_PATH "${exo_package}")
endif()
