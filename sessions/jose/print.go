package jose

import (
	"fmt"
	"io"
	"log/slog"
)

// String names the key and says nothing else of it.
func (k Key) String() string { return "jose.Key(" + string(k.algorithm) + " " + k.id + ")" }

// GoString is String.
func (k Key) GoString() string { return k.String() }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Format writes String, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// String names the key by its thumbprint and says nothing else of it.
func (k PrivateKey) String() string {
	if k.public == nil {
		return "jose.PrivateKey()"
	}
	return "jose.PrivateKey(" + string(k.public.algorithm) + " " + k.public.id + ")"
}

// GoString is String.
func (k PrivateKey) GoString() string { return k.String() }

// LogValue is String.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Format writes String, whatever the verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }
