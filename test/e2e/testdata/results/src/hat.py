def hat(brim):
    if brim:
        return "wide"
    return "narrow"
