"use server";

export async function greet(name) {
	return `${name} from ${process.env.VERSION}`;
}
