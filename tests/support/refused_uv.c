/* SPDX-License-Identifier: Apache-2.0 */
/* What libuv's calls need of the system; tests/support/CMakeLists.txt has them, too. The files of a call without a
 * callback. Not those that can only fail by a mistake of the caller, such as timers. */
#include "tests/support/refused.h"

#include <string.h>
#include <uv.h>

/* libuv's name of the system's error; 0: the call is not refused. */
static int refusal(const char *name)
{
    int error;
    return refused_now(name, &error) ? uv_translate_sys_error(error) : 0;
}

#define CALL(name, parameters, arguments)                                                                              \
    int __real_##name parameters;                                                                                      \
    int __wrap_##name parameters;                                                                                      \
    int __wrap_##name parameters                                                                                       \
    {                                                                                                                  \
        int error = refusal(#name);                                                                                    \
        return error != 0 ? error : __real_##name arguments;                                                           \
    }

/* uv_fs_req_cleanup comes behind a request that was refused, too. */
#define FILE_CALL(name, parameters, arguments)                                                                         \
    int __real_##name parameters;                                                                                      \
    int __wrap_##name parameters;                                                                                      \
    int __wrap_##name parameters                                                                                       \
    {                                                                                                                  \
        int error = refusal(#name);                                                                                    \
        if (error == 0)                                                                                                \
            return __real_##name arguments;                                                                            \
        memset(request, 0, sizeof *request);                                                                           \
        request->result = error;                                                                                       \
        return error;                                                                                                  \
    }

CALL(uv_loop_init, (uv_loop_t * loop), (loop))
CALL(uv_mutex_init, (uv_mutex_t * mutex), (mutex))
CALL(uv_cond_init, (uv_cond_t * condition), (condition))
CALL(uv_rwlock_init, (uv_rwlock_t * lock), (lock))
CALL(uv_sem_init, (uv_sem_t * semaphore, unsigned value), (semaphore, value))
CALL(uv_async_init, (uv_loop_t * loop, uv_async_t *handle, uv_async_cb done), (loop, handle, done))
CALL(uv_poll_init, (uv_loop_t * loop, uv_poll_t *handle, int fd), (loop, handle, fd))
CALL(uv_udp_init, (uv_loop_t * loop, uv_udp_t *handle), (loop, handle))
CALL(uv_thread_create, (uv_thread_t * thread, uv_thread_cb entry, void *user), (thread, entry, user))
CALL(uv_random, (uv_loop_t * loop, uv_random_t *request, void *out, size_t length, unsigned flags, uv_random_cb done),
     (loop, request, out, length, flags, done))
CALL(uv_os_tmpdir, (char *out, size_t *size), (out, size))

#define LOOP    uv_loop_t *loop, uv_fs_t *request
#define DONE    uv_fs_cb done
#define PATH    LOOP, const char *path
#define HANDLED LOOP, uv_file file

FILE_CALL(uv_fs_open, (PATH, int flags, int mode, DONE), (loop, request, path, flags, mode, done))
FILE_CALL(uv_fs_read, (HANDLED, const uv_buf_t *buffers, unsigned count, int64_t at, DONE),
          (loop, request, file, buffers, count, at, done))
FILE_CALL(uv_fs_write, (HANDLED, const uv_buf_t *buffers, unsigned count, int64_t at, DONE),
          (loop, request, file, buffers, count, at, done))
FILE_CALL(uv_fs_fsync, (HANDLED, DONE), (loop, request, file, done))
FILE_CALL(uv_fs_fstat, (HANDLED, DONE), (loop, request, file, done))
FILE_CALL(uv_fs_stat, (PATH, DONE), (loop, request, path, done))
FILE_CALL(uv_fs_scandir, (PATH, int flags, DONE), (loop, request, path, flags, done))
FILE_CALL(uv_fs_mkdir, (PATH, int mode, DONE), (loop, request, path, mode, done))
FILE_CALL(uv_fs_unlink, (PATH, DONE), (loop, request, path, done))
FILE_CALL(uv_fs_rename, (PATH, const char *to, DONE), (loop, request, path, to, done))
FILE_CALL(uv_fs_access, (PATH, int mode, DONE), (loop, request, path, mode, done))
FILE_CALL(uv_fs_mkstemp, (PATH, DONE), (loop, request, path, done))
FILE_CALL(uv_fs_opendir, (PATH, DONE), (loop, request, path, done))
