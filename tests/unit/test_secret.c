/* Secrets: their files, and the hash that is keyed by them. */
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/secret.h"
#include "base/siphash.h"

static char folder[] = "/tmp/perch-secret-XXXXXX";
static char path[64];
static struct secrets secrets;
static struct error error;

static int
make_folder(void **state)
{
	(void)state;
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/secret", folder);
	memset(&error, 0, sizeof(error));
	return 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	chmod(folder, 0700);
	unlink(path);
	rmdir(path);
	return rmdir(folder);
}

static void
write_file(const char *text, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static bool
load(const char *text)
{
	write_file(text, strlen(text));
	return secrets_load(path, &secrets, &error);
}

static void
assert_said(const char *what)
{
	if (strstr(error.message, what) == NULL)
		fail_msg("\"%s\" isn't in \"%s\"", what, error.message);
	assert_int_equal(secrets.n, 0);
}

#define ONE "the first one of them"
#define TWO "the second of the two"

static void
test_each_line_is_a_secret(void **state)
{
	(void)state;
	assert_true(load("# who has them\n\n  " ONE "\t\r\n" TWO));
	assert_int_equal(secrets.n, 2);
	assert_true(secrets_have(&secrets, SLICE(ONE)));
	assert_true(secrets_have(&secrets, SLICE(TWO)));
	assert_false(secrets_have(&secrets, SLICE("# who has them")));
	assert_false(secrets_have(&secrets, SLICE(ONE " ")));
	assert_false(secrets_have(&secrets, SLICE("")));
	assert_false(secrets_have(&secrets, SLICE_NONE));
}

static void
test_secret_is_a_part_of_its_digest(void **state)
{
	/* SHA-256 of "abc": FIPS 180-4's example. */
	static const unsigned char digest[SECRET_SIZE] = {0xba, 0x78, 0x16,
		0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d,
		0xae, 0x22, 0x23};
	struct secret secret = secret_of(SLICE("abc"));

	(void)state;
	assert_memory_equal(secret.bytes, digest, SECRET_SIZE);
}

static void
test_bad_files_are_named(void **state)
{
	char *large = malloc(70001);

	(void)state;
	assert_non_null(large);
	assert_false(secrets_load(path, &secrets, &error));
	assert_said("secret: can't be read: No such file");
	assert_false(load(""));
	assert_said("no secret in it");
	assert_false(load("#\n\n\n"));
	assert_said("no secret in it");
	assert_false(load(ONE "\nshort\n"));
	assert_said("secret:2: a secret has at least 16 bytes, this one 5");
	assert_true(load(ONE "\n" ONE "\n" ONE "\n" ONE "\n" ONE "\n" ONE
			     "\n" ONE "\n" ONE "\n"));
	assert_false(load(ONE "\n" ONE "\n" ONE "\n" ONE "\n" ONE "\n" ONE
			      "\n" ONE "\n" ONE "\n" ONE "\n"));
	assert_said("secret:9: more than 8 secrets");
	memset(large, 'x', 70000);
	large[70000] = '\0';
	assert_false(load(large));
	assert_said("longer than 65536 bytes");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_false(secrets_load(path, &secrets, &error));
	assert_said("can't be read: Is a directory");
	free(large);
}

static void
test_own_secret_is_made_once(void **state)
{
	struct secret first, again;
	struct stat status;

	(void)state;
	assert_true(secret_keep(folder, "secret", &first, &error));
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(status.st_size, 65);
	assert_true(secret_keep(folder, "secret", &again, &error));
	assert_memory_equal(first.bytes, again.bytes, SECRET_SIZE);
	unlink(path);
	assert_true(secret_keep(folder, "secret", &again, &error));
	assert_memory_not_equal(first.bytes, again.bytes, SECRET_SIZE);
}

static void
test_own_secret_that_cannot_be_kept_is_drawn(void **state)
{
	struct secret first, second;
	char *long_name = malloc(5000);

	(void)state;
	memset(&first, 0, sizeof(first));
	second = first;
	assert_false(secret_keep("/nowhere/at/all", "secret", &first, &error));
	assert_non_null(strstr(error.message, "can't be written: No such"));
	assert_memory_not_equal(first.bytes, second.bytes, SECRET_SIZE);
	write_file("damaged\n", 8);
	assert_false(secret_keep(folder, "secret", &second, &error));
	assert_non_null(strstr(error.message, "secret:1: a secret has"));
	assert_memory_not_equal(first.bytes, second.bytes, SECRET_SIZE);
	assert_non_null(long_name);
	memset(long_name, 'x', 4999);
	long_name[4999] = '\0';
	assert_false(secret_keep(long_name, "secret", &second, &error));
	assert_non_null(strstr(error.message, "path too long"));
	free(long_name);
}

/* The example of the paper's appendix A. */
static void
test_siphash_of_the_paper(void **state)
{
	unsigned char bytes[16];
	struct siphash_key key;

	(void)state;
	for (unsigned char i = 0; i < 16; i++)
		bytes[i] = i;
	key = siphash_key_of(bytes);
	assert_true(siphash(&key, bytes, 15) == UINT64_C(0xa129ca6149be45e5));
}

static uint64_t
siphash_by_openssl(const unsigned char *key, const void *data, size_t len)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
	size_t size = 8;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
		OSSL_PARAM_construct_end()};
	unsigned char out[8];
	uint64_t value = 0;

	assert_int_equal(EVP_MAC_init(context, key, 16, params), 1);
	assert_int_equal(EVP_MAC_update(context, data, len), 1);
	assert_int_equal(EVP_MAC_final(context, out, &size, sizeof(out)), 1);
	EVP_MAC_CTX_free(context);
	EVP_MAC_free(mac);
	for (int i = 7; i >= 0; i--)
		value = value << 8 | out[i];
	return value;
}

static void
test_siphash_is_openssls(void **state)
{
	unsigned char data[100];
	struct siphash_key key;

	(void)state;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 37 + 11);
	key = siphash_key_of(data + 50);
	for (size_t len = 0; len <= sizeof(data); len++)
		assert_true(siphash(&key, data, len) ==
			    siphash_by_openssl(data + 50, data, len));
}

int
main(void)
{
#define T(name)                                                                \
	cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		T(test_each_line_is_a_secret),
		T(test_secret_is_a_part_of_its_digest),
		T(test_bad_files_are_named),
		T(test_own_secret_is_made_once),
		T(test_own_secret_that_cannot_be_kept_is_drawn),
		T(test_siphash_of_the_paper),
		T(test_siphash_is_openssls),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
