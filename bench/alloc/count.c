/* Counts the allocations of a process: LD_PRELOAD this, with the environment variable ALLOC_COUNT_FILE
 * naming a file. Its first 16 bytes are then two native 64-bit counters that can be read at any time:
 * calls that allocate (malloc, calloc, realloc, aligned_alloc, posix_memalign, memalign), and the bytes
 * they asked for. The process must use the C library's allocator. glibc only. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

struct counters {
  _Atomic uint64_t calls, bytes;
};

/* Until the file is mapped, and in a process that names none, the counts go here. */
static struct counters unseen;
static struct counters *counters = &unseen;

__attribute__((constructor)) static void map_file(void) {
  const char *path = getenv("ALLOC_COUNT_FILE");
  if (!path) return;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return;
  if (ftruncate(fd, sizeof(struct counters)) == 0) {
    void *page = mmap(NULL, sizeof(struct counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) counters = page;
  }
  close(fd);
}

static void count(size_t bytes) {
  atomic_fetch_add_explicit(&counters->calls, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&counters->bytes, bytes, memory_order_relaxed);
}

void *malloc(size_t size) {
  count(size);
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  count(number * size);
  return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
  count(size);
  return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
  count(size);
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **into, size_t alignment, size_t size) {
  void *block = memalign(alignment, size);
  if (!block) return ENOMEM;
  *into = block;
  return 0;
}
