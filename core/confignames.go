package core

import (
	"slices"
	"strings"
)

// maxSlips is how many slips of the fingers make a name still the one meant.
const maxSlips = 2

// nearestName returns the known name that is fewest slips away, and how many.
func nearestName(name string, known []string) (nearest string, slips int) {
	for i, k := range known {
		if n := distance(strings.ToUpper(name), strings.ToUpper(k)); i == 0 || n < slips {
			nearest, slips = k, n
		}
	}
	return nearest, slips
}

// distance counts the letters to add, drop, change or swap with their neighbour to
// make one word of the other (the optimal string alignment distance).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			changed := last[j-1]
			if a[i-1] != b[j-1] {
				changed++
			}
			row[j] = min(changed, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

// foreignNames are variables of the MinIO server and client, of their container
// images, and of a Kubernetes service or a container link named minio. They stand
// in many an environment and are none of a storage's settings.
var foreignNames = []string{
	"MINIO_ACCESS_KEY_OLD", "MINIO_SECRET_KEY_OLD", "MINIO_ADDRESS", "MINIO_BROWSER", "MINIO_CERT_PASSWD", "MINIO_CERTS_DIR",
	"MINIO_CI_CD", "MINIO_CONFIG_ENV_FILE", "MINIO_DATA_DIR", "MINIO_DEFAULT_BUCKETS", "MINIO_DISTRIBUTED_MODE_ENABLED",
	"MINIO_DISTRIBUTED_NODES", "MINIO_DOMAIN", "MINIO_FORCE_NEW_KEYS", "MINIO_GROUPNAME", "MINIO_HOST", "MINIO_LICENSE",
	"MINIO_NAME", "MINIO_OPTS", "MINIO_PORT", "MINIO_PUBLIC_IPS", "MINIO_REGION_NAME", "MINIO_SCHEME", "MINIO_SKIP_CLIENT",
	"MINIO_STARTUP_TIMEOUT", "MINIO_UPDATE", "MINIO_UPDATE_MINISIGN_PUBKEY", "MINIO_USERNAME", "MINIO_VERSION",
	"MINIO_VOLUMES", "MINIO_WORM",
}

// foreignPrefixes begin the names of whole groups of such variables.
var foreignPrefixes = []string{
	"FILEFIELD_TEST_", "MINIO_API_", "MINIO_APP_", "MINIO_AUDIT_", "MINIO_BATCH_", "MINIO_BROWSER_", "MINIO_CACHE_", "MINIO_CALLHOME_",
	"MINIO_COMPRESSION_", "MINIO_CONSOLE_", "MINIO_DRIVE_", "MINIO_ENV_", "MINIO_ERASURE_", "MINIO_ETCD_", "MINIO_FTP_", "MINIO_HEAL_",
	"MINIO_IDENTITY_", "MINIO_ILM_", "MINIO_KMS_", "MINIO_LAMBDA_", "MINIO_LDAP_", "MINIO_LOGGER_", "MINIO_NOTIFY_", "MINIO_OPERATOR_",
	"MINIO_PORT_", "MINIO_POLICY_PLUGIN_", "MINIO_PROMETHEUS_", "MINIO_PROXY_", "MINIO_QUEUE_", "MINIO_ROOT_", "MINIO_SCANNER_",
	"MINIO_SERVER_", "MINIO_SERVICE_", "MINIO_SFTP_", "MINIO_SITE_", "MINIO_STORAGE_CLASS_", "MINIO_SUBNET_", "MINIO_TLS_",
}

func isForeign(name string) bool {
	return slices.Contains(foreignNames, name) ||
		slices.ContainsFunc(foreignPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}
