package strictjson

import (
	"bytes"
	"sync"

	"github.com/go-json-experiment/json"
)

// Marshal gives to use the JSON of a value, as json.Marshal writes it. Its memory is that
// of others as soon as use returns. Where the error is not nil, use was not called.
func Marshal(value any, use func(data []byte), opts ...json.Options) error {
	buffer := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buffer.Cap() <= maxBuffer {
			buffer.Reset()
			buffers.Put(buffer)
		}
	}()
	if err := json.MarshalWrite(buffer, value, opts...); err != nil {
		return err
	}
	use(buffer.Bytes())
	return nil
}

// maxBuffer is how many bytes of a buffer are kept: one that held a long list would stay
// as large.
const maxBuffer = 64 << 10

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
