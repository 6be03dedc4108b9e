package s3test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/minio/minio-go/v7/pkg/signer"
)

// User makes a user with exactly that policy, and returns its keys. MinIO alone
// has users; the embedded engine has one account.
func (s *Server) User(t testing.TB, policy string) (access, secret string) {
	t.Helper()
	if s.Engine != MinIO {
		t.Fatalf("s3test: %s has no users", s.Engine)
	}
	access, secret = "user-"+randomName(), "secret-of-"+randomName()
	s.importIAM(t, map[string]any{
		"policies.json":      map[string]json.RawMessage{access: json.RawMessage(policy)},
		"users.json":         map[string]any{access: map[string]string{"secretKey": secret, "status": "enabled"}},
		"user_mappings.json": map[string]any{access: map[string]any{"version": 1, "policy": access}},
	})
	return access, secret
}

// importIAM sends MinIO users and policies in the form in which it exports them.
func (s *Server) importIAM(t testing.TB, files map[string]any) {
	t.Helper()
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	for name, content := range files {
		w, err := z.Create("iam-assets/" + name)
		if err == nil {
			err = json.NewEncoder(w).Encode(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	transport, _, err := transport(s.certs)
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	// MinIO answers requests, these too, a moment before it has read the users it
	// had, and then forgets those made meanwhile. It knows its own policies from
	// the same moment on.
	if err := poll(ctx, func() error {
		return s.admin(ctx, transport, http.MethodGet, "info-canned-policy?name=readonly", nil)
	}); err != nil {
		t.Fatalf("s3test: MinIO has not read its users: %v", err)
	}
	if err := s.admin(ctx, transport, http.MethodPut, "import-iam", archive.Bytes()); err != nil {
		t.Fatalf("s3test: MinIO makes no user: %v", err)
	}
}

// admin sends one request to MinIO's interface for administrators.
func (s *Server) admin(ctx context.Context, transport http.RoundTripper, method, call string, content []byte) error {
	r, err := http.NewRequestWithContext(ctx, method, s.URL()+"/minio/admin/v3/"+call, bytes.NewReader(content))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	response, err := (&http.Client{Transport: transport}).Do(signer.SignV4(*r, s.AccessKey, s.SecretKey, "", s.Region))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || bytes.Contains(body, []byte(`"error"`))) {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return err
}
