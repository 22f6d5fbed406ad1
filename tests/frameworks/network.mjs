/*
 * network: each client has an address of its own, of 127.0.0.0/8, as those
 * out there have; a balancer that looks at addresses sees them.
 */
import { connect, createServer } from "node:net";

const HANDSHAKE = Buffer.from([5, 0]);
const CONNECTED = Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);

let given = 0;

export function nextAddress() {
	given++;
	return `127.9.${given >> 8}.${given & 255}`;
}

/* A SOCKS 5 proxy that leaves from this address; any name is this machine,
 * but for a broken one, which isn't asked for. What a client says in each of
 * its two steps comes in one piece here. */
export function openProxy(localAddress) {
	const proxy = createServer((client) => {
		client.on("error", () => client.destroy());
		client.once("data", () => {
			client.write(HANDSHAKE);
			client.once("data", (request) => {
				const port = request.readUInt16BE(
					request.length - 2);
				join(client, port, localAddress);
			});
		});
	});
	return new Promise((resolve) => {
		proxy.listen(0, "127.0.0.1", () => resolve({
			server: `socks5://127.0.0.1:${proxy.address().port}`,
			close: () => proxy.close(),
		}));
	});
}

function join(client, port, localAddress) {
	const server = connect({ host: "127.0.0.1", port, localAddress });
	server.setNoDelay(true);
	client.setNoDelay(true);
	server.once("connect", () => {
		client.write(CONNECTED);
		client.pipe(server).pipe(client);
	});
	server.on("error", () => client.destroy());
	server.on("close", () => client.destroy());
	client.on("close", () => server.destroy());
}
