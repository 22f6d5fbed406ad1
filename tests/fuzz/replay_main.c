/*
 * replay_main: gives a fuzz target every file of the folders named, so that
 * what a fuzzer once found is tried in every build.
 *
 * Fails where a folder can't be read or holds nothing: an empty corpus would
 * pass for ever.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

/* Exactly as many bytes as the file has, for sanitizers to see the end. */
static uint8_t *
read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = NULL;
	struct stat status;

	if (file == NULL)
		return NULL;
	if (fstat(fileno(file), &status) == 0) {
		*size = (size_t)status.st_size;
		bytes = malloc(*size > 0 ? *size : 1);
	}
	if (bytes != NULL && fread(bytes, 1, *size, file) != *size) {
		free(bytes);
		bytes = NULL;
	}
	fclose(file);
	return bytes;
}

static bool
replay_file(const char *path)
{
	size_t size;
	uint8_t *bytes = read_file(path, &size);

	if (bytes == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	LLVMFuzzerTestOneInput(bytes, size);
	free(bytes);
	return true;
}

/* Returns how many files there were; -1 on failure. */
static int
replay_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int n = 0;

	if (dir == NULL) {
		fprintf(stderr, "%s: %s\n", folder, strerror(errno));
		return -1;
	}
	while (n >= 0 && (entry = readdir(dir)) != NULL) {
		char path[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		n = replay_file(path) ? n + 1 : -1;
	}
	closedir(dir);
	return n;
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s FOLDER...\n", argv[0]);
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		int n = replay_folder(argv[i]);

		if (n <= 0) {
			fprintf(stderr, "%s: no inputs\n", argv[i]);
			return 1;
		}
		printf("%s: %d inputs\n", argv[i], n);
	}
	return 0;
}
