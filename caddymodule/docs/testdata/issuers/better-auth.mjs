// Accounts of the npm package better-auth, whose JWT plugin makes tokens of their sessions.
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { toNodeHandler } from 'better-auth/node';
import { admin, createJwk, jwt } from 'better-auth/plugins';
import { serve } from './serve.mjs';

await serve((url) => {
	const options = { jwt: { audience: 'https://app.example.com/auth/sessions' } };
	const auth = betterAuth({
		baseURL: url,
		secret: 'better-auth-secret-of-32-bytes-or-more',
		database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
		emailAndPassword: { enabled: true },
		plugins: [admin(), jwt(options)],
		databaseHooks: { // nobody can give it to themselves
			user: { create: { before: async (user) => ({ data: { ...user, role: user.email.startsWith('desk@') ? 'admin' : 'user' } }) } },
		},
		telemetry: { enabled: false },
	});
	return {
		handle: toNodeHandler(auth),
		rotate: async () => createJwk({ context: await auth.$context }, options),
	};
});
