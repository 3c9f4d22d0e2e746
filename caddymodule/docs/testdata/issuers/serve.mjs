// What the issuers have in common: a port that the system chose, which is printed, and a process
// that ends with whoever started it.
import { once } from 'node:events';
import { createServer } from 'node:http';

// serve makes an issuer of its URL, and serves it. POST /rotate lets it sign with a new key.
export async function serve(make) {
	let issuer;
	const server = createServer(async (req, res) => {
		if (req.method !== 'POST' || req.url !== '/rotate') {
			issuer.handle(req, res);
			return;
		}
		await issuer.rotate();
		res.end();
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	issuer = await make(`http://127.0.0.1:${server.address().port}`);
	console.log(server.address().port);
	process.stdin.resume();
	process.stdin.on('end', () => process.exit());
}
