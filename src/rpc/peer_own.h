/* peer_own: what the sources of rpc share. */
#ifndef RPC_PEER_OWN_H
#define RPC_PEER_OWN_H

#include "protocol/messages.h"

#define PEER_WHY_SIZE 200

#endif
