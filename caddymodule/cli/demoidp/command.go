package demoidp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"authsidecar/sessions/jose"
)

// A command runs a provider, as its flags say.
type command struct {
	listen     string
	client     string
	sites      []string
	people     []string
	withParent bool
}

// Command returns the command that runs a provider: demo-idp.
func Command() *cobra.Command {
	d := new(command)
	cmd := &cobra.Command{
		Use:   "demo-idp --site <url>... [--listen <address>] [--client <id>] [--person <name>[=<roles>]]... [--with-parent]",
		Short: "Runs an identity provider without passwords, to try sign-in on this machine",
		Long: `
Runs an OpenID provider that asks for no password: whoever comes chooses who they are. It
listens on this machine alone, and makes new keys each time that it starts. Never use it
for anything but to try things out.

The site of the example, with its own people: alice, bob, support and officer.

	$ caddy auth-sessions demo-idp --site http://127.0.0.1:8080/auth/sessions

Other people, with the claim roles of their ID tokens:

	$ caddy auth-sessions demo-idp --site http://127.0.0.1:8080/auth/sessions \
		--person carol --person "dave=support officer"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return d.run(ctx, cmd)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&d.listen, "listen", "l", "127.0.0.1:8083", "A loopback address and a port")
	flags.StringVar(&d.client, "client", "demo", "The name of the site here: client_id in its sign_in block")
	flags.StringArrayVar(&d.sites, "site", nil, "Where the endpoints of the site are: its address and path (required, repeatable)")
	flags.StringArrayVar(&d.people, "person", []string{"alice", "bob", "support=support", "officer=officer"}, "Who can sign in, with their roles (repeatable)")
	flags.BoolVar(&d.withParent, "with-parent", false, "End when the process that started this one does")
	return cmd
}

func (d *command) run(ctx context.Context, cmd *cobra.Command) error {
	parent := os.Getppid() // before anyone knows that it serves, since the parent may end from then on
	config, err := d.config()
	if err != nil {
		return err
	}
	listener, err := d.open(ctx)
	if err != nil {
		return err
	}
	config.Issuer = "http://" + listener.Addr().String()
	provider, err := New(*config)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s asks for no password: it is there to try things out, and for nothing else.\n", config.Issuer); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if d.withParent {
		go endWithParent(ctx, parent, cancel)
	}
	server := &http.Server{Handler: provider, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// config returns the configuration from the flags.
func (d *command) config() (*Config, error) {
	if len(d.sites) == 0 {
		return nil, errors.New("--site is required, as in: --site http://127.0.0.1:8080/auth/sessions")
	}
	c := &Config{Client: d.client, Now: time.Now}
	for _, site := range d.sites {
		c.Sites = append(c.Sites, strings.TrimSuffix(site, "/"))
	}
	for _, text := range d.people {
		name, roles, _ := strings.Cut(text, "=")
		if name == "" {
			return nil, fmt.Errorf("--person %q has no name: write name or name=roles", text)
		}
		c.People = append(c.People, Person{Name: name, Roles: strings.Fields(roles)})
	}
	var err error
	c.Key, err = jose.Generate(jose.ES256)
	return c, err
}

// open listens on this machine only.
func (d *command) open(ctx context.Context) (net.Listener, error) {
	address, err := netip.ParseAddrPort(d.listen)
	if err != nil || !address.Addr().IsLoopback() {
		return nil, fmt.Errorf("--listen %s: it asks for no password, and so is for this machine alone: write a loopback address and a port, as in 127.0.0.1:8083", d.listen)
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", address.String())
}

// endWithParent calls end when this process gets another parent, by polling: not every system
// reports it.
func endWithParent(ctx context.Context, parent int, end func()) {
	for ticker := time.NewTicker(20 * time.Millisecond); os.Getppid() == parent; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
	end()
}
