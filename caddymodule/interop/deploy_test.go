package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	composeschema "github.com/compose-spec/compose-go/v2/schema"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/storetest/servertest"
)

const (
	deployed = "../docs/deploy"
	// The release of Kubernetes whose schemas the manifests are held to, and the sum of its module.
	kubernetes    = "k8s.io/kubernetes@v1.34.2"
	kubernetesSum = "h1:WQdDvYJazkmkwSncgNwGvVtaCt4TYXIU3wSMRgvp3MI="
)

// A manifest is one document of a file of Kubernetes.
type manifest map[string]any

// at follows names into a document; nil is nothing.
func (m manifest) at(path ...string) any {
	var value any = map[string]any(m)
	for _, name := range path {
		inner, _ := value.(map[string]any)
		value = inner[name]
	}
	return value
}

func (m manifest) text(path ...string) string {
	text, _ := m.at(path...).(string)
	return text
}

func (m manifest) String() string { return m.text("kind") + " " + m.text("metadata", "name") }

// manifests reads a file of several documents.
func manifests(t *testing.T, file string) (all []manifest) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for decoder := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc map[string]any
		if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, doc)
	}
}

// kubernetesSchemas returns the folder of the OpenAPI documents that the API server of Kubernetes
// itself serves. Its module is no part of anybody's build: it is fetched as it is, and checked.
func kubernetesSchemas(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", kubernetes).Output()
	if err != nil {
		servertest.Missing(t, "module "+kubernetes, "go mod download "+kubernetes)
	}
	var module struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	if module.Sum != kubernetesSum {
		t.Fatalf("%s is %s, and not %s", kubernetes, module.Sum, kubernetesSum)
	}
	return filepath.Join(module.Dir, "api", "openapi-spec", "v3")
}

// kubernetesSchema returns the schema of a document.
func kubernetesSchema(t *testing.T, dir string, m manifest) *jsonschema.Schema {
	t.Helper()
	version := m.text("apiVersion")
	file := "api__" + version // the core
	kind := "io.k8s.api.core." + version
	if group, of, ok := strings.Cut(version, "/"); ok {
		file = "apis__" + group + "__" + of
		kind = "io.k8s.api." + strings.TrimSuffix(group, ".k8s.io") + "." + of
	}
	data, err := os.ReadFile(filepath.Join(dir, file+"_openapi.json"))
	if err != nil {
		t.Fatalf("%s: no such API: %v", m, err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	closeSchemas(doc)
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("file:///"+file, doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("file:///" + file + "#/components/schemas/" + kind + "." + m.text("kind"))
	if err != nil {
		t.Fatalf("%s: %v", m, err)
	}
	return schema
}

// closeSchemas lets objects have no members but those that are known, as the API server does when it
// is strict.
func closeSchemas(node any) {
	switch node := node.(type) {
	case map[string]any:
		if _, object := node["properties"].(map[string]any); object && node["additionalProperties"] == nil {
			node["additionalProperties"] = false
		}
		for _, inner := range node {
			closeSchemas(inner)
		}
	case []any:
		for _, inner := range node {
			closeSchemas(inner)
		}
	}
}

// plain makes of a document of YAML what JSON would have made of it.
func plain(t *testing.T, doc any) any {
	t.Helper()
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// The manifests are what the API server of Kubernetes takes, and a mistake in one is not.
func TestDeploy_ManifestsAreWhatKubernetesTakes(t *testing.T) {
	t.Parallel()
	dir := kubernetesSchemas(t)
	for _, name := range []string{"sidecar.yaml", "shared.yaml"} {
		for _, m := range manifests(t, filepath.Join(deployed, "kubernetes", name)) {
			if err := kubernetesSchema(t, dir, m).Validate(plain(t, m)); err != nil {
				t.Errorf("%s: %s: %v", name, m, err)
			}
		}
	}
	wrong := manifest{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "app"}, "spec": map[string]any{"port": 80}}
	if kubernetesSchema(t, dir, wrong).Validate(plain(t, wrong)) == nil {
		t.Error("a member that Kubernetes does not know is taken")
	}
}

// What refers to something in the same file finds it: selectors pods, ports their names, volumes
// their sources.
func TestDeploy_ManifestsAgreeWithThemselves(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sidecar.yaml", "shared.yaml"} {
		all := manifests(t, filepath.Join(deployed, "kubernetes", name))
		names := make(map[string]bool)
		for _, m := range all {
			names[m.String()] = true
		}
		pods := slices.DeleteFunc(slices.Clone(all), func(m manifest) bool { return m.at("spec", "template") == nil })
		if len(pods) != 1 {
			t.Fatalf("%s has %d workloads", name, len(pods))
		}
		pod := pods[0]
		label := pod.text("spec", "template", "metadata", "labels", "app.kubernetes.io/name")
		if got := pod.text("spec", "selector", "matchLabels", "app.kubernetes.io/name"); label == "" || got != label {
			t.Errorf("%s: %s selects %q, and its pods are %q", name, pod, got, label)
		}
		spec, _ := pod.at("spec", "template", "spec").(map[string]any)
		for _, reference := range references(spec) {
			if !names[reference] {
				t.Errorf("%s: there is no %s", name, reference)
			}
		}
		for _, m := range all {
			if m.text("kind") == "Service" && m.text("spec", "selector", "app.kubernetes.io/name") != label {
				t.Errorf("%s: %s selects no pods", name, m)
			}
		}
		wantHardened(t, name, spec)
	}
}

// references are what the pods of a spec need beside them.
func references(spec map[string]any) (names []string) {
	names = append(names, "ServiceAccount "+manifest(spec).text("serviceAccountName"))
	volumes, _ := spec["volumes"].([]any)
	for _, v := range volumes {
		volume, _ := v.(map[string]any)
		for kind, at := range map[string][]string{
			"ConfigMap": {"configMap", "name"}, "Secret": {"secret", "secretName"}, "PersistentVolumeClaim": {"persistentVolumeClaim", "claimName"},
		} {
			if name := manifest(volume).text(at...); name != "" {
				names = append(names, kind+" "+name)
			}
		}
	}
	return names
}

// wantHardened asserts that the sidecar of a pod can do what it has to and no more.
func wantHardened(t *testing.T, file string, spec map[string]any) {
	t.Helper()
	containers, _ := spec["containers"].([]any)
	first, _ := spec["initContainers"].([]any)
	for _, c := range append(first, containers...) {
		container, _ := c.(map[string]any)
		m := manifest(container)
		if m.text("name") != "authsidecar" {
			continue
		}
		if m.at("securityContext", "readOnlyRootFilesystem") != true || m.at("securityContext", "allowPrivilegeEscalation") != false ||
			m.text("readinessProbe", "httpGet", "path") != "/auth/health" || m.at("livenessProbe", "httpGet") != nil {
			t.Errorf("%s: the sidecar is not as it should be: %v", file, container)
		}
		return
	}
	t.Errorf("%s has no sidecar", file)
}

// The compose file is one.
func TestDeploy_ComposeFileIsWhatComposeTakes(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(deployed, "compose", "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var project map[string]any
	if err := yaml.Unmarshal(data, &project); err != nil {
		t.Fatal(err)
	}
	if err := composeschema.Validate(project); err != nil {
		t.Error(err)
	}
	services, _ := project["services"].(map[string]any)
	for _, name := range []string{"sidecar-1", "sidecar-2", "app", "idp", "postgres"} {
		if services[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
	for _, file := range []string{"Caddyfile", "dex.yaml"} {
		if _, err := os.Stat(filepath.Join(deployed, "compose", file)); err != nil {
			t.Error(err)
		}
	}
	services["app"].(map[string]any)["port"] = 80 //nolint:forcetypeassert // it is there
	if composeschema.Validate(project) == nil {
		t.Error("a member that compose does not know is taken")
	}
}

// Each Caddyfile of the manifests and of compose is what Caddy takes, and says what the probes ask.
func TestDeploy_CaddyfilesAdapt(t *testing.T) {
	t.Parallel()
	files := make(map[string]string)
	data, err := os.ReadFile(filepath.Join(deployed, "compose", "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	files["compose"] = string(data)
	for _, name := range []string{"sidecar.yaml", "shared.yaml"} {
		for _, m := range manifests(t, filepath.Join(deployed, "kubernetes", name)) {
			if text := m.text("data", "Caddyfile"); text != "" {
				files[name] = text
			}
		}
	}
	if len(files) != 3 {
		t.Errorf("found %d Caddyfiles", len(files))
	}
	for name, text := range files {
		file := filepath.Join(t.TempDir(), "Caddyfile")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"fmt", "--diff", file}, {"adapt", "--config", file, "--adapter", "caddyfile"}} {
			var says bytes.Buffer
			cmd := exec.CommandContext(t.Context(), sidecartest.Binary(t), args...)
			cmd.Stderr = &says
			if out, err := cmd.Output(); err != nil || says.Len() > 0 || args[0] == "adapt" && !bytes.Contains(out, []byte(`"health":"/auth/health"`)) {
				t.Errorf("%s: caddy %s: %v\n%s%s", name, args[0], err, says.Bytes(), out)
			}
		}
	}
}
